//! Runs a plan: skips what is cached, trains the rest, records failures and goes on.
