#!/bin/bash
# Runs a command on what looks like a machine of its own: own cgroups, processes, mounts, network, /run and cache,
# but the same built programs. So a second cluster comes and goes beside the one that other tests use.
#   isolated.sh WORKDIR COMMAND...
set -euo pipefail

groups() { find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -printf '%h\n'; }

enter() {
  local hierarchy file
  for hierarchy in $(groups); do
    mkdir "$hierarchy/isolated-$$"
    for file in cpuset.cpus cpuset.mems; do
      if [ -e "$hierarchy/$file" ]; then cat "$hierarchy/$file" >"$hierarchy/isolated-$$/$file"; fi
    done
    echo $$ >"$hierarchy/isolated-$$/cgroup.procs"
  done
}

leave() {
  local hierarchy
  for hierarchy in $(groups); do
    [ -d "$hierarchy/isolated-$$" ] || continue
    echo $$ >"$hierarchy/cgroup.procs"
    find "$hierarchy/isolated-$$" -depth -type d -exec rmdir {} +
  done
}

inside() {
  local workdir=$1 hierarchies point type options
  shift
  mount --make-rprivate /
  # The other cluster's mounts are copies here, and no one's.
  for point in $(awk '$5 ~ "/compression-operator/" { print $5 }' /proc/self/mountinfo | tac); do umount -l "$point"; done
  hierarchies=$(awk '$2 ~ "^/sys/fs/cgroup/" { print $2, $3, $4 }' /proc/mounts)
  # A new sysfs shows this network's interfaces only.
  mount -t sysfs sysfs /sys
  mount -t tmpfs tmpfs /sys/fs/cgroup
  while read -r point type options; do
    mkdir "$point"
    mount -t "$type" -o "${options#rw,relatime,}" cgroup "$point"
  done <<<"$(sed 's/ rw,relatime$/ rw/' <<<"$hierarchies")"
  mount -t tmpfs tmpfs /run
  mkdir -p "$workdir/var" "$workdir/var-work"
  mount -t overlay -o "lowerdir=/var,upperdir=$workdir/var,workdir=$workdir/var-work" overlay /var
  rm -rf /var/lib/cni /var/lib/kubelet /var/log/containers
  ip link set lo up
  # Not exec: process 1 has to wait for orphans, as this shell does.
  "$@"
  exit
}

if [ "$1" = --inside ]; then
  shift
  inside "$@"
fi

workdir=$1
shift
cache="${XDG_CACHE_HOME:-$HOME/.cache}/compression-operator"
mkdir -p "$workdir/compression-operator/locks"
for part in bin go images site uv-tool; do
  if [ -e "$cache/$part" ]; then ln -sfn "$cache/$part" "$workdir/compression-operator/$part"; fi
done
enter
trap leave EXIT
env -u KUBECONFIG XDG_CACHE_HOME="$workdir" unshare --cgroup --mount --net --pid --fork --kill-child --mount-proc \
  "$BASH_SOURCE" --inside "$workdir" "$@"
