"""The overhead of MLPerf LoadGen per query, compared with a bare loop around the same predictor."""
