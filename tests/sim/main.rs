//! The whole node in the simulator: seeds, stories of panics and of starts, and the mutants that
//! show what seeds see.

mod mutants;
mod panics;
mod seeds;
mod start;
