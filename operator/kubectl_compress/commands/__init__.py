"""The commands, one file each: functions from options and a cluster to an exit status."""
