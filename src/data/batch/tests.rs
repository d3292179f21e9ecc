use super::*;
use crate::data::test_support::yaml;
use proptest::prelude::*;

fn train(fields: &str) -> TrainSettings {
    yaml(&format!(
        "{{optimizer: {{adamw: {{learning_rate: 0.001}}}}, validate: {{every: end}}, {fields}}}"
    ))
}

/// One sequence per document: input and target are its number, `1 + number % 3` times.
fn data(sequences: u32) -> TrainingData {
    let mut set = SequenceSet::new();
    for number in 0..sequences {
        let ids = vec![number; 1 + number as usize % 3];
        set.push(&ids, &ids);
    }
    TrainingData::Sequences(set)
}

fn rows(batch: &Batch) -> Vec<u32> {
    (0..batch.rows)
        .map(|row| batch.inputs[row * batch.cols])
        .collect()
}

fn course_rows(course: &Course<'_>, steps: std::ops::Range<u64>) -> Vec<u32> {
    steps
        .flat_map(|step| course.micro_batches(step))
        .flat_map(|batch| rows(&batch))
        .collect()
}

#[test]
fn published_numbers_of_steps() {
    let steps = |sequences, fields: &str| Length::of(Some(sequences), &train(fields), |_| 0).steps;
    // EF-2: the same 2500 document visits take 300, 250 and 250 steps, since 25 is not a multiple of
    // 10.
    assert_eq!(steps(25, "batch_size: 10, epochs: 100"), 300);
    assert_eq!(steps(250, "batch_size: 10, epochs: 10"), 250);
    assert_eq!(steps(2500, "batch_size: 10, epochs: 1"), 250);
    // GS-2, SU-1 and the ablation.
    assert_eq!(steps(2500, "batch_size: 16"), 157);
    assert_eq!(steps(27_000, "batch_size: 16"), 1688);
    assert_eq!(steps(7315, "batch_size: 8, max_batches: 16"), 16);
}

#[test]
fn last_batch_is_kept_or_dropped() {
    let data = data(25);
    let sizes = |fields: &str| -> Vec<usize> {
        let train = train(fields);
        let course = Course::new(&data, &train);
        (0..course.steps())
            .flat_map(|step| course.micro_batches(step))
            .map(|batch| batch.rows)
            .collect()
    };
    assert_eq!(sizes("batch_size: 10, epochs: 2"), [10, 10, 5, 10, 10, 5]);
    assert_eq!(
        sizes("batch_size: 10, epochs: 2, last_batch: drop"),
        [10, 10, 10, 10]
    );
    assert_eq!(
        sizes("batch_size: 10, max_batches: 1, epochs: 3"),
        [10, 10, 10]
    );
    assert_eq!(sizes("batch_size: 10, max_steps: 4"), [10, 10, 5, 10]);
}

#[test]
fn a_budget_of_tokens_is_spent_to_the_token() {
    // Five sequences of 1, 2, 3, 1 and 2 targets: 9 per epoch, in batches of 3, 4 and 2.
    let data = data(5);
    let scored = |fields: &str| -> Vec<Vec<usize>> {
        let train = train(&format!("batch_size: 2, shuffle: false, {fields}"));
        let course = Course::new(&data, &train);
        (0..course.steps())
            .map(|step| {
                course
                    .micro_batches(step)
                    .iter()
                    .map(Batch::scored)
                    .collect()
            })
            .collect()
    };
    assert_eq!(scored("max_tokens: 9"), [[3], [4], [2]]);
    assert_eq!(scored("max_tokens: 11"), [[3], [4], [2], [2]]);
    assert_eq!(scored("max_tokens: 1"), [[1]]);
    // The second micro-batch of the second step is omitted.
    let accumulated = scored("max_tokens: 11, grad_accum_steps: 2");
    assert_eq!(accumulated, [vec![3, 4], vec![2], vec![2]]);
    // The id 0 is a target once per epoch.
    assert_eq!(
        scored("max_tokens: 9, ignore_index: 0"),
        [[2], [4], [2], [1]]
    );
}

#[test]
fn a_cut_batch_keeps_its_first_targets() {
    let data = data(5);
    let train = train("batch_size: 3, shuffle: false, max_tokens: 4");
    let cut = &Course::new(&data, &train).micro_batches(0)[0];
    assert_eq!((cut.rows, cut.cols), (3, 3));
    assert_eq!(cut.inputs, [0, 0, 0, 1, 1, 0, 2, 2, 2]);
    let counted = [true, false, false, true, true, false, true, false, false];
    assert_eq!(cut.mask, counted);
}

#[test]
fn nothing_that_counts_is_no_step() {
    let mut set = SequenceSet::new();
    set.push(&[7, 7], &[7, 7]);
    let data = TrainingData::Sequences(set);
    let train = train("batch_size: 1, max_tokens: 5, ignore_index: 7");
    assert_eq!(Course::new(&data, &train).steps(), 0);
}

#[test]
fn accumulation_groups_stay_within_an_epoch() {
    let data = data(25);
    let train = train("batch_size: 4, grad_accum_steps: 3, epochs: 2");
    let course = Course::new(&data, &train);
    let groups: Vec<usize> = (0..course.steps())
        .map(|step| course.micro_batches(step).len())
        .collect();
    assert_eq!(groups, [3, 3, 1, 3, 3, 1]);
    assert_eq!(
        (
            course.epoch_of(2),
            course.epoch_of(3),
            course.epochs_done(3)
        ),
        (0, 1, 1.0)
    );
}

#[test]
fn padding_is_masked_by_position_and_ids_by_ignore_index() {
    let mut set = SequenceSet::new();
    set.push(&[1, 2, 3], &[2, 0, 4]);
    set.push(&[5], &[0]);
    let batch = Batch::gather(&set, &[1, 0], None);
    assert_eq!((batch.rows, batch.cols, batch.scored()), (2, 3, 4));
    assert_eq!(batch.inputs, [5, 0, 0, 1, 2, 3]);
    assert_eq!(batch.mask, [true, false, false, true, true, true]);
    assert_eq!(Batch::gather(&set, &[1, 0], Some(0)).scored(), 2);
    assert_eq!(Batch::gather(&set, &[], None), Batch::default());
}

#[test]
fn order_is_that_of_the_file_without_shuffling() {
    let data = data(7);
    let train = train("batch_size: 3, epochs: 2, shuffle: false");
    let course = Course::new(&data, &train);
    assert_eq!(
        course_rows(&course, 0..course.steps()),
        [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6]
    );
}

#[test]
fn windows_of_a_stream_lie_inside_it() {
    let ids: Vec<u32> = (0..40).collect();
    let data = TrainingData::Stream {
        ids,
        window: 8,
        shift: 1,
    };
    let train = train("batch_size: 4, grad_accum_steps: 2, max_steps: 50");
    let course = Course::new(&data, &train);
    let mut starts = std::collections::BTreeSet::new();
    for step in 0..course.steps() {
        let batches = course.micro_batches(step);
        assert_eq!(batches.len(), 2);
        for batch in batches {
            assert_eq!((batch.rows, batch.cols), (4, 8));
            for (input, target) in batch.inputs.iter().zip(&batch.targets) {
                assert_eq!(input + 1, *target);
            }
            starts.extend(rows(&batch));
        }
    }
    assert_eq!(starts, (0..=31).collect());
    // A token budget truncates the last window: 64 targets per step.
    let train = self::train("batch_size: 4, grad_accum_steps: 2, max_tokens: 165");
    let course = Course::new(&data, &train);
    let scored = |step| {
        course
            .micro_batches(step)
            .iter()
            .map(Batch::scored)
            .collect::<Vec<_>>()
    };
    let scored: Vec<_> = (0..course.steps()).map(scored).collect();
    assert_eq!(scored, [vec![32, 32], vec![32, 32], vec![32, 5]]);
}

#[test]
fn one_window_fits_exactly() {
    let data = TrainingData::Stream {
        ids: (0..9).collect(),
        window: 8,
        shift: 1,
    };
    let train = train("batch_size: 1, max_steps: 1");
    assert_eq!(rows(&Course::new(&data, &train).micro_batches(0)[0]), [0]);
}

proptest! {
    #![proptest_config(crate::test_support::cases(60))]

    #[test]
    fn every_sequence_comes_once_an_epoch(sequences in 1..60u32, batch_size in 1..9usize, accumulated in 1..4usize, seed in 0..5u64) {
        let data = data(sequences);
        let train = train(&format!("batch_size: {batch_size}, grad_accum_steps: {accumulated}, epochs: 3, seed: {seed}"));
        let course = Course::new(&data, &train);
        let mut orders = Vec::new();
        for epoch in 0..3 {
            let steps = course.steps_per_epoch();
            let mut seen = course_rows(&course, epoch * steps..(epoch + 1) * steps);
            orders.push(seen.clone());
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..sequences).collect::<Vec<_>>());
        }
        if sequences > 20 {
            prop_assert_ne!(&orders[0], &orders[1]);
        }
    }

    #[test]
    fn a_budget_cuts_only_the_last_step(
        sequences in 1..30u32, batch_size in 1..6usize, accumulated in 1..4usize, tokens in 1..300usize, seed in 0..5u64
    ) {
        let data = data(sequences);
        let fields = format!("batch_size: {batch_size}, grad_accum_steps: {accumulated}, seed: {seed}");
        let budget = train(&format!("{fields}, max_tokens: {tokens}"));
        let budget = Course::new(&data, &budget);
        let steps = budget.steps();
        let straight = train(&format!("{fields}, max_steps: {steps}"));
        let straight = Course::new(&data, &straight);
        let scored = |course: &Course<'_>, step| course.micro_batches(step).iter().map(Batch::scored).sum::<usize>();
        prop_assert_eq!((0..steps).map(|step| scored(&budget, step)).sum::<usize>(), tokens);
        for step in 0..steps - 1 {
            prop_assert_eq!(budget.micro_batches(step), straight.micro_batches(step));
        }
        prop_assert!(scored(&straight, steps - 1) >= scored(&budget, steps - 1));
        prop_assert_eq!(budget.epochs(), straight.epochs());
    }

    #[test]
    fn any_step_can_be_asked_first(sequences in 1..40u32, batch_size in 1..6usize, from in 0..50u64) {
        let data = data(sequences);
        let train = train(&format!("batch_size: {batch_size}, grad_accum_steps: 2, max_steps: 50"));
        let course = Course::new(&data, &train);
        let ahead: Vec<_> = (0..50).map(|step| course.micro_batches(step)).collect();
        let resumed = Course::new(&data, &train);
        prop_assert_eq!(&resumed.micro_batches(from), &ahead[from as usize]);
        prop_assert_eq!(&course.micro_batches(0), &ahead[0]);
    }
}

#[test]
fn batches_that_are_scored_have_a_bounded_size() {
    let batches = |lengths: &[usize]| scoring_batches(lengths).collect::<Vec<_>>();
    assert_eq!(batches(&[2000, 2048, 100]), [0..2, 2..3]);
    assert_eq!(batches(&[100, 5000, 1, 1]), [0..1, 1..2, 2..4]);
    assert!(batches(&[]).is_empty());
    for length in [1, 3, 1000, 4096, 5000] {
        let alike = vec![length; 5000];
        assert_eq!(batches(&alike)[0], 0..scored_together(length), "{length}");
    }
}

#[test]
fn the_lines_of_a_course_are_what_it_trains_on() {
    let mut set = SequenceSet::new();
    for number in 0..25_u32 {
        // Line number, 100, 200: targets two ahead.
        set.push(&[number], &[200]);
    }
    set.push(&[7, 8, 9], &[9, 10, 11]);
    assert_eq!(set.line(25, 2), [7, 8, 9, 10, 11]);
    assert_eq!(set.line(0, 2), [0], "the id between is not known");
    let data = TrainingData::Sequences(set);
    let firsts = |fields: &str| -> Vec<u32> {
        let train = train(fields);
        let lines = Course::new(&data, &train).lines(2);
        lines.iter().map(|line| line[0]).collect()
    };
    let all: Vec<u32> = (0..25).chain([7]).collect();
    assert_eq!(firsts("batch_size: 10, epochs: 3"), all);
    // Each course against the rows of its batches.
    for fields in [
        "batch_size: 4, epochs: 1, last_batch: drop",
        "batch_size: 4, max_batches: 2, shuffle: false",
        "batch_size: 4, max_batches: 2, epochs: 3",
        "batch_size: 3, grad_accum_steps: 2, max_steps: 6",
        "batch_size: 5, max_tokens: 17",
        "batch_size: 5, max_tokens: 40, shuffle: false",
    ] {
        let settings = train(fields);
        let course = Course::new(&data, &settings);
        let mut rows = course_rows(&course, 0..course.steps());
        rows.sort_unstable();
        rows.dedup();
        let mut lines = firsts(fields);
        lines.sort_unstable();
        lines.dedup();
        let missing = rows.iter().filter(|row| !lines.contains(row)).count();
        assert_eq!(missing, 0, "{fields}: {rows:?} {lines:?}");
        // A token budget may remove rows from the last step.
        assert!(lines.len() - rows.len() < 5, "{fields}: {rows:?} {lines:?}");
    }
    let stream = TrainingData::Stream {
        ids: vec![1, 2, 3],
        window: 1,
        shift: 1,
    };
    assert_eq!(
        Course::new(&stream, &train("batch_size: 1, max_steps: 1")).lines(1),
        [[1, 2, 3]]
    );
}
