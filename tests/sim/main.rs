//! The whole node in the simulator: seeds, and the mutants that show what seeds see.

mod mutants;
mod seeds;
