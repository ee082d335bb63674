//! A seed draws topology, configuration, workload and faults; the invariants of every event hold
//! (debug assertions), and once the faults have stopped everything recovers.
