//! What a batch met in its client beyond batching and one attempt (decision D-19).

/// Nanoseconds by what the client was waiting for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Detour {
    /// Due, but behind others, or behind a full buffer.
    pub(crate) backlog_ns: u64,
    /// Attempts at a leader that was not there or not the leader, and what followed until the next.
    pub(crate) unavailable_ns: u64,
    /// Attempts refused, or timed out, for want of replicas, and what followed until the next.
    pub(crate) replicas_ns: u64,
}
