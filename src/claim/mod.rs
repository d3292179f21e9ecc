//! Claims: measures, intervals over seeds, verdicts.
