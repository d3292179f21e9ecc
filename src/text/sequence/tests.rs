use super::informed_as_described::InformedAsDescribed;
use super::informed_as_run::InformedAsRun;
use super::*;
use proptest::prelude::*;

const FRAME: Frame = Frame {
    bos: 900,
    eos: 901,
    seq_len: 5,
    shift: 1,
};

fn set(policy: Sequence, documents: &[Vec<u32>], frame: Frame) -> SequenceSet {
    match training(policy, documents, frame) {
        TrainingData::Sequences(set) => set,
        TrainingData::Stream { .. } => panic!("no stream was asked for"),
    }
}

fn shown(set: &SequenceSet) -> Vec<String> {
    (0..set.len())
        .map(|i| {
            let (input, target) = set.get(i);
            format!("{input:?} -> {target:?}")
                .replace("900", "B")
                .replace("901", "E")
        })
        .collect()
}

/// Content of each sequence at shift 1: the input without BOS.
fn contents(set: &SequenceSet) -> Vec<Vec<u32>> {
    (0..set.len()).map(|i| set.get(i).0[1..].to_vec()).collect()
}

fn numbered(lengths: &[u32]) -> Vec<Vec<u32>> {
    let mut next = 0;
    lengths
        .iter()
        .map(|n| {
            next += n;
            (next - n..next).collect()
        })
        .collect()
}

#[test]
fn next_token_cuts_and_frames() {
    let documents = [vec![1, 2, 3], vec![4, 5, 6, 7, 8, 9], vec![]];
    assert_eq!(
        shown(&set(Sequence::NextToken, &documents, FRAME)),
        [
            "[B, 1, 2, 3] -> [1, 2, 3, E]",
            "[B, 4, 5, 6, 7] -> [4, 5, 6, 7, E]",
            "[B] -> [E]"
        ]
    );
}

#[test]
fn shift_two_skips_the_first_token() {
    let documents = [vec![1, 2, 3], vec![4, 5, 6, 7, 8, 9], vec![7], vec![]];
    let frame = Frame { shift: 2, ..FRAME };
    assert_eq!(
        shown(&set(Sequence::NextToken, &documents, frame)),
        [
            "[B, 1, 2] -> [2, 3, E]",
            "[B, 4, 5, 6] -> [5, 6, 7, E]",
            "[B] -> [E]"
        ]
    );
}

#[test]
fn published_batch_of_skip_one_has_511_positions() {
    let frame = Frame {
        seq_len: 512,
        shift: 2,
        ..FRAME
    };
    assert_eq!(
        set(Sequence::NextToken, &numbered(&[4000]), frame).longest(),
        511
    );
}

#[test]
fn every_policy_on_one_example() {
    // m = 4; documents of 6, 3 and 6 ids.
    let documents = numbered(&[6, 3, 6]);
    let of = |policy| contents(&set(policy, &documents, FRAME));
    let as_run = |tol| of(Sequence::InformedAsRun(InformedAsRun { tol }));
    let as_described = |tol| of(Sequence::InformedAsDescribed(InformedAsDescribed { tol }));
    let openings = vec![vec![0, 1, 2, 3], vec![6, 7, 8], vec![9, 10, 11, 12]];
    assert_eq!(of(Sequence::Discard), openings);
    assert_eq!(of(Sequence::PadDiscard), openings);
    let snaked = vec![vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9, 10, 11]];
    assert_eq!(of(Sequence::ImputeConcat), snaked);
    assert_eq!(of(Sequence::PadImputeConcat), snaked);
    assert_eq!(
        of(Sequence::PadImputePerDocument),
        [
            vec![0, 1, 2, 3],
            vec![4, 5],
            vec![6, 7, 8],
            vec![9, 10, 11, 12],
            vec![13, 14]
        ]
    );
    // Ids left after the chunks: 2, 1, 3.
    assert_eq!(as_run(2), [vec![4, 5, 6, 7]]);
    assert_eq!(as_run(3), snaked[..2]);
    assert_eq!(as_run(4), snaked);
    assert_eq!(
        as_described(3),
        [vec![0, 1, 2, 3], vec![6, 7, 8], vec![9, 10, 11, 12]]
    );
    assert_eq!(as_described(9), [vec![0, 1, 2, 3], vec![9, 10, 11, 12]]);
    assert_eq!(
        training(Sequence::Stream, &numbered(&[2, 1]), FRAME),
        TrainingData::Stream {
            ids: vec![0, 1, 901, 2, 901],
            window: 5,
            shift: 1
        }
    );
}

#[test]
fn validation_is_the_same_for_every_policy_but_stream() {
    let documents = numbered(&[6, 3, 6]);
    let expected = next_token(&documents, FRAME);
    for policy in [
        Sequence::ImputeConcat,
        Sequence::InformedAsRun(InformedAsRun { tol: 1 }),
        Sequence::Discard,
    ] {
        assert_eq!(validation(policy, &documents, FRAME), expected);
    }
    assert_eq!(
        shown(&validation(Sequence::Stream, &numbered(&[4, 3]), FRAME)),
        [
            "[0, 1, 2, 3, E] -> [1, 2, 3, E, 4]",
            "[4, 5, 6] -> [5, 6, E]"
        ]
    );
}

#[test]
fn scoring_counts_every_id_and_eos_once() {
    assert_eq!(
        shown(&scoring_windows(&[1, 2, 3, 4, 5], 900, 901, 3)),
        ["[B, 1, 2] -> [1, 2, 3]", "[B, 4, 5] -> [4, 5, E]"]
    );
    assert_eq!(shown(&scoring_windows(&[], 900, 901, 3)), ["[B] -> [E]"]);
    // The same token may begin and end a text: its last occurrence is still a target.
    assert_eq!(
        scoring_windows(&[1], 0, 0, 8).get(0),
        (&[0, 1][..], &[1, 0][..])
    );
}

#[test]
fn lengths_that_leave_no_room_are_refused() {
    let of = |seq_len, max, lengths: &[u32]| {
        sequence_length(seq_len, max, lengths).map_err(|error| error.to_string())
    };
    assert_eq!(of(SeqLen::Max, 64, &[]), Ok(64));
    assert_eq!(of(SeqLen::Shortest, 256, &[90, 39, 41]), Ok(39));
    insta::assert_snapshot!(of(SeqLen::Shortest, 256, &[1, 5]).unwrap_err(), @"a sequence length of 1 (the shortest training document, `data.seq_len: shortest`) is not possible: at least 2 tokens are needed, BOS and one more");
    insta::assert_snapshot!(of(SeqLen::Tokens(300), 256, &[]).unwrap_err(), @"a sequence length of 300 (`data.seq_len`) is not possible: the model has 256 positions (`model.max_seq_len`)");
    assert!(
        check_shift(0).is_err()
            && check_shift(1).is_ok()
            && check_shift(2).is_ok()
            && check_shift(3).is_err()
    );
}

/// 128 document lengths that satisfy every published total of docs/studies.md#b at once.
///
/// Document d is written as (q, r): with m = 99 it completes q chunks and leaves r ids, so its length is 99 q + r -
/// (ids left before it). 4 documents complete no chunk, 8 complete one, 116 more; 72 leave fewer than 50 ids.
fn published_lengths() -> Vec<u32> {
    let mut shape = vec![(0, 39)];
    for _ in 0..3 {
        shape.extend([(24, 10), (0, 49)]);
    }
    shape.extend(vec![(25, 80); 16]);
    shape.extend(vec![(24, 80); 30]);
    shape.extend(vec![(1, 80); 6]);
    shape.extend([(1, 30), (1, 30)]);
    shape.extend(vec![(24, 10); 67]);
    let mut left = 0;
    shape
        .into_iter()
        .map(|(q, r)| {
            let length = 99 * q + r - left;
            left = r;
            u32::try_from(length).unwrap()
        })
        .collect()
}

#[test]
fn published_counts_follow_from_one_list_of_lengths() {
    let lengths = published_lengths();
    assert_eq!(lengths.len(), 128);
    let total: u32 = lengths.iter().sum();
    assert!((277_894..=278_197).contains(&total), "{total}");
    let documents = numbered(&lengths);
    let counts = |policy, seq_len| {
        let built = set(policy, &documents, Frame { seq_len, ..FRAME }).len();
        assert_eq!(
            sequences(policy, &lengths, seq_len),
            Some(built),
            "{policy:?}"
        );
        (built, batches(built, 8))
    };
    let shortest = sequence_length(SeqLen::Shortest, 256, &lengths).unwrap();
    assert_eq!(shortest, 39);
    assert_eq!(counts(Sequence::Discard, shortest), (128, 16));
    assert_eq!(counts(Sequence::ImputeConcat, shortest).1, 915);
    assert_eq!(counts(Sequence::PadDiscard, 250), (128, 16));
    assert!((1829..=1831).contains(&counts(Sequence::PadImputeConcat, 20).1));
    assert!((351..=352).contains(&counts(Sequence::PadImputeConcat, 100).1));
    assert_eq!(counts(Sequence::PadImputeConcat, 250).1, 140);
    let informed: Vec<_> = crate::data::stats::TOLERANCES
        .iter()
        .map(|tol| counts(Sequence::InformedAsRun(InformedAsRun { tol: *tol }), 100))
        .collect();
    assert_eq!(informed, [(72, 9), (124, 16), (194, 25), (240, 30)]);
}

/// The study's loop as written in docs/studies.md#b, sharing nothing with the code under test.
fn informed_loop(lengths: &[u32], m: usize, tol: usize) -> usize {
    let (mut buffer, mut kept) = (0, 0);
    for n in lengths {
        buffer += *n as usize;
        while buffer >= m {
            let over = buffer - m;
            if over < tol {
                kept += 1;
            }
            buffer -= m;
        }
    }
    kept
}

fn policies() -> impl Strategy<Value = Sequence> {
    (0..8usize, 0..40usize).prop_map(|(number, tol)| match number {
        0 => Sequence::NextToken,
        1 => Sequence::Discard,
        2 => Sequence::ImputeConcat,
        3 => Sequence::PadDiscard,
        4 => Sequence::PadImputeConcat,
        5 => Sequence::PadImputePerDocument,
        6 => Sequence::InformedAsRun(InformedAsRun { tol }),
        _ => Sequence::InformedAsDescribed(InformedAsDescribed { tol }),
    })
}

proptest! {
    #![proptest_config(crate::test_support::cases(300))]

    #[test]
    fn closed_forms_give_the_counts(lengths in prop::collection::vec(0..60u32, 0..40), seq_len in 2..20usize, policy in policies()) {
        let built = set(policy, &numbered(&lengths), Frame { seq_len, ..FRAME });
        prop_assert_eq!(sequences(policy, &lengths, seq_len), Some(built.len()));
        if let Sequence::InformedAsRun(parameters) = policy {
            prop_assert_eq!(built.len(), informed_loop(&lengths, seq_len - 1, parameters.tol));
        }
    }

    #[test]
    fn lengths_follow_from_those_of_the_documents(lengths in prop::collection::vec(0..60u32, 0..20), seq_len in 2..20usize, policy in policies(), shift in 1..3usize) {
        let (frame, documents) = (Frame { seq_len, shift, ..FRAME }, numbered(&lengths));
        let positions = |set: &SequenceSet| -> Vec<u32> { (0..set.len()).map(|i| set.get(i).0.len() as u32).collect() };
        prop_assert_eq!(input_lengths(policy, &lengths, seq_len, shift), Some(positions(&set(policy, &documents, frame))));
        let held_out = validation(policy, &documents, frame);
        prop_assert_eq!(validation_lengths(&lengths, seq_len, shift), positions(&held_out));
    }

    #[test]
    fn sequences_are_framed_and_short_enough(lengths in prop::collection::vec(0..60u32, 0..20), seq_len in 2..20usize, policy in policies(), shift in 1..3usize) {
        let frame = Frame { seq_len, shift, bos: 90_000, eos: 90_001 };
        let built = set(policy, &numbered(&lengths), frame);
        for i in 0..built.len() {
            let (input, target) = built.get(i);
            prop_assert!(!input.is_empty() && input.len() <= seq_len + 1 - shift);
            prop_assert_eq!((input[0], target[target.len() - 1]), (90_000, 90_001));
            prop_assert_eq!(&input[shift.min(input.len())..], &target[..input.len().saturating_sub(shift)]);
        }
    }

    #[test]
    fn tokens_are_conserved_where_the_policy_says_so(lengths in prop::collection::vec(0..60u32, 0..30), seq_len in 2..20usize) {
        let documents = numbered(&lengths);
        let all = documents.concat();
        let frame = Frame { seq_len, ..FRAME };
        let m = frame.content();
        // Every id once, none across documents.
        let per_document = contents(&set(Sequence::PadImputePerDocument, &documents, frame)).concat();
        prop_assert_eq!(&per_document, &all);
        // Every id once, except for a remainder shorter than m at the very end.
        let snaked = contents(&set(Sequence::ImputeConcat, &documents, frame)).concat();
        prop_assert_eq!(&snaked[..], &all[..all.len() - all.len() % m]);
        // With a tolerance of 0, every chunk that leaves ids is dropped; with an infinite one, no more is dropped than
        // by impute.
        let informed = |tol| set(Sequence::InformedAsRun(InformedAsRun { tol }), &documents, frame);
        prop_assert_eq!(informed(0).len(), 0);
        prop_assert_eq!(contents(&informed(usize::MAX)).concat(), snaked);
        // The stream holds every id and one end per document; its windows score all but the first once.
        let ids = stream::ids(&documents, 90_001);
        prop_assert_eq!(ids.len(), all.len() + documents.len());
        prop_assert_eq!(&windows(&ids, seq_len, 1).targets[..], ids.get(1..).unwrap_or_default());
        for document in &documents {
            let scored = scoring_windows(document, 90_000, 90_001, seq_len);
            prop_assert_eq!(&scored.targets[..document.len()], &document[..]);
            prop_assert_eq!(scored.targets.len(), document.len() + 1);
            prop_assert!(scored.longest() <= seq_len);
        }
    }
}
