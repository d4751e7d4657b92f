//! The whole node in the simulator: random seeds, scripted panics and starts, and the mutants that
//! show what the seeds detect.

mod mutants;
mod panics;
mod seeds;
mod start;
