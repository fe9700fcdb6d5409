"""Every codec of `pack` beside zipnn's own library on MiniLM's weights, one thread, in one run."""
