"""The commands, one file each: options and a cluster go in, an exit status comes out."""
