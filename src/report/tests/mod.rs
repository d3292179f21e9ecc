//! Tests of whole reports over made-up results.
