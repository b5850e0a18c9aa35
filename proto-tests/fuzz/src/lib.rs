//! Fuzz targets of pgveil: the bodies that every target runs.

pub mod bodies;

// The conversation's model of a server, which is the room's own, finds the rooms by these names.
use pgveil::{flow, mask, wire};
