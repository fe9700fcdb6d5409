// Package versitygw pins the S3 server of the local cluster; `go build` of its tool makes the binary.
package versitygw
