"""Compression methods, one folder each: algorithm and stage; the contract has the parameters."""
