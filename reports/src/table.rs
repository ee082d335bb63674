//! The summary for a terminal.
