//! Every function and filter of expressions: its parameters, its result and an example.

/// A function or filter of expressions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    /// As written.
    pub(crate) name: &'static str,
    /// Its parameters, as listed in error messages.
    pub(crate) takes: &'static str,
    /// Its result, in one sentence.
    pub(crate) about: &'static str,
    /// An example expression, over runs with the axes `dim` and `n_layers`.
    pub(crate) example: &'static str,
}

macro_rules! functions {
    ($($name:ident: $takes:literal, $about:literal, $example:literal;)+) => {
        &[$(Function { name: stringify!($name), takes: $takes, about: $about, example: $example },)+]
    };
}

/// All functions.
pub(crate) const FUNCTIONS: &[Function] = functions! {
    run: "a name or axis values, such as `run('25x100')` or `run(dim=512)`",
        "One setting. `.val_loss` and every other metric are numbers, the mean over its replicates; `.name` and the axes are values; \
         `.series('val/loss')` and `.steps('val/loss')` are lists; `.setting('train.epochs')` is a setting.",
        "run(dim=512, n_layers=2).val_loss";
    runs: "axis values, such as `runs(dim=512)`",
        "All single runs with these axis values, in plan order, each seed and draw separately. A metric or an axis of them is a \
         list.",
        "max(runs(dim=512).val_loss_min)";
    settings: "axis values, such as `settings(dim=512)`",
        "Like `runs`, but each setting once, with its replicates averaged.",
        "count(settings(dim=512))";
    pairs: "an axis and two of its values",
        "Settings that differ only in that axis; keyword arguments restrict the other axes. A metric of them is the list of \
         differences, first minus second; `.first` and `.second` are lists of runs.",
        "mean(pairs('dim', 512, 128).val_loss_min)";
    count: "one list, and `above`, `below` or `equals`",
        "The number of values in the list, or of those above, below or equal to a bound.",
        "count(pairs('dim', 512, 128).val_loss_min, below=0)";
    mean: "one list of numbers", "The mean.", "mean(runs().val_loss_min)";
    sd: "one list of numbers", "The sample standard deviation (n - 1); an error for fewer than two values.", "sd(runs().val_loss_min)";
    spearman: "two lists of equal length",
        "Spearman's rank correlation, from -1 to 1.",
        "spearman(runs().dim, runs().val_loss_min)";
    difference: "two lists of equal length",
        "The list of differences, first minus second.",
        "max(difference(runs(dim=512).val_loss_min, runs(dim=128).val_loss_min))";
    first_step_below: "a run, runs or pairs, a series, and a bound or `drop=`",
        "The first step at which the series is below the bound, or below its first value minus `drop`; `never=` is the result \
         if it never is. For pairs, the difference in steps.",
        "first_step_below(run(dim=512, n_layers=2), 'val/loss', drop=2)";
    at_step: "a run, runs or pairs, a series and a step",
        "The last value of the series at or before the step.",
        "at_step(run(dim=512, n_layers=2), 'val/loss', 6)";
    fluctuation: "a run, runs or pairs, a series, and a number of last values (default 50)",
        "The standard deviation of the last values of the series.",
        "fluctuation(run(dim=512, n_layers=2), 'train/loss', 5)";
    min: "numbers, or one list of them", "The smallest.", "min(runs().val_loss_min)";
    max: "numbers, or one list of them", "The largest.", "max(runs().val_loss_min)";
    abs: "one number or one list", "The absolute value.", "abs(run(dim=512, n_layers=2).val_loss_min - 8)";
    log: "one number or one list", "The natural logarithm.", "log(4096)";
    exp: "one number or one list", "The exponential.", "exp(run(dim=512, n_layers=2).val_loss_min)";
    sqrt: "one number or one list", "The square root.", "sqrt(2)";
    pow: "two numbers", "The first to the power of the second.", "pow(10, -3)";
    sorted: "one list of numbers", "The list in ascending order.", "sorted(settings().val_loss_min)[0]";
    trend: "one list of numbers",
        "Spearman's rank correlation of the values with their positions: 1 if they only rise, -1 if they only fall, 0 without \
         a trend.",
        "trend(run(dim=512, n_layers=2).series('val/loss'))";
    after_min: "one list of numbers",
        "The list from its minimum on.",
        "trend(after_min(run(dim=512, n_layers=2).series('val/loss')))";
};

/// All filters; they turn a number into text.
pub(crate) const FILTERS: &[Function] = functions! {
    round: "a number of digits (default 0)", "The number with this many decimals.", "(2 / 3) | round(2)";
    thousands: "a number of digits (default 0)", "As `round`, with thousands separators.", "1234567 | thousands";
    pm: "nothing", "In texts, at the end: the number ± the half-width of its widest 95 % interval over seeds, draws and held-out documents; for a list, its mean with the interval over entries and documents.", "[1, 2, 3, 4] | pm";
    sign: "three texts", "In texts, at the end: the first text if that interval lies above 0, the second if it lies below 0, and the third if it contains 0 or there is none.", "[1, 2, 3, 4] | sign('more', 'less', 'undecided')";
    percent: "a number of digits (default 0)", "The number as a percentage.", "0.125 | percent(1)";
};
