//! A store that is away, on a Cassandra of the test's own.
