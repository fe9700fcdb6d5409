"""What MLPerf LoadGen adds to a query, beside a bare loop around the same predictor."""
