"""Command lines of etcd, the API server and the controllers, for tests and for the whole cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.certificates import Certificate

SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"


@dataclass(frozen=True)
class ControlPlane:
    """Folders, addresses and certificates of a control plane."""

    binary: Path
    folder: Path
    host: str
    port: int
    etcd_host: str
    etcd_port: int
    etcd_peer_port: int
    authority: Certificate
    serving: Certificate
    service_account_key: Path

    @property
    def url(self) -> str:
        """URL of the API server."""
        return f"https://{self.host}:{self.port}"

    def etcd(self) -> list[str]:
        """Return the command line of etcd. It does not sync to disk, since a crash may lose this data."""
        client, peer = self._etcd_url(self.etcd_port), self._etcd_url(self.etcd_peer_port)
        return [
            str(self.binary), "etcd", "--name=local", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=local={peer}",
            "--auto-compaction-retention=10m", "--quota-backend-bytes=4294967296", "--log-level=warn",
        ]  # fmt: skip

    def apiserver(self, extra: Sequence[str] = ()) -> list[str]:
        """Return the command line of kube-apiserver."""
        return [
            str(self.binary), "kube-apiserver", f"--etcd-servers={self._etcd_url(self.etcd_port)}",
            f"--bind-address={self.host}", f"--advertise-address={self.host}", f"--secure-port={self.port}",
            f"--tls-cert-file={self.serving.certificate}", f"--tls-private-key-file={self.serving.key}",
            f"--client-ca-file={self.authority.certificate}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.service_account_key}",
            f"--service-account-signing-key-file={self.service_account_key}",
            f"--service-cluster-ip-range={SERVICE_RANGE}", "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true", "--profiling=false", *extra,
        ]  # fmt: skip

    def controller_manager(self, kubeconfig: Path, controllers: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
        """Return the command line of kube-controller-manager with the named controllers (`*` is all)."""
        return [
            str(self.binary), "kube-controller-manager", f"--kubeconfig={kubeconfig}", "--leader-elect=false",
            f"--controllers={','.join(controllers)}", f"--root-ca-file={self.authority.certificate}",
            f"--service-account-private-key-file={self.service_account_key}", "--secure-port=0",
            "--kube-api-qps=500", "--kube-api-burst=1000", "--profiling=false", *extra,
        ]  # fmt: skip

    def _etcd_url(self, port: int) -> str:
        return f"http://{self.etcd_host}:{port}"
