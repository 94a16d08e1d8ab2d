"""Ideas: functions from record batches and arrays to the same, without Beam and without torch."""
