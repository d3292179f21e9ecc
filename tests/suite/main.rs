//! Tests that cross module borders. `README.md` beside this file says how to add one.

mod architecture;
