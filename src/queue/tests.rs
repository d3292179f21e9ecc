use super::*;
use crate::fsx::AnyPath;
use std::path::Path;

#[cfg(unix)]
mod paths;
mod simulation;

fn calls(report: bool) -> Calls {
    Calls {
        program: "/opt/spec book".into(),
        sweep: "/store/jobs-v1/grid-1/sweep.json".into(),
        report: report.then(|| vec!["report".into(), "/p/grid.yaml".into()]),
    }
}

const NEEDS: Needs = Needs {
    minutes: Some(65),
    mib: Some(700),
    cores: 2,
};

fn slurm(array_size: usize) -> Slurm {
    Slurm {
        partition: Some("gpu".to_owned()),
        max_running: Some(32),
        warning: 120,
        array_size,
        extra: vec!["--account=lab".into()],
    }
}

fn submissions(array_size: usize, chunks: usize) -> Vec<Submission> {
    slurm(array_size).submissions(
        &calls(true),
        chunks,
        NEEDS,
        "grid",
        Path::new("/store/logs"),
    )
}

fn chunked(seconds: &[Option<f64>], least: f64) -> Vec<Vec<usize>> {
    let pieces = seconds.iter().enumerate();
    let pieces: Vec<_> = pieces
        .map(|(run, seconds)| Piece {
            run,
            seconds: *seconds,
        })
        .collect();
    let chunks = chunks(&pieces, least).into_iter();
    chunks
        .map(|chunk| chunk.iter().map(|piece| piece.run).collect())
        .collect()
}

#[test]
fn chunks_hold_enough_work_and_the_longest_come_first() {
    let seconds = [60.0, 900.0, 60.0, 400.0, 60.0].map(Some);
    assert_eq!(chunked(&seconds, 600.0), [vec![1], vec![3, 0, 2, 4]]);
    assert_eq!(chunked(&seconds, 0.0), [[1], [3], [0], [2], [4]]);
    assert_eq!(chunked(&seconds, 1e9), [[1, 3, 0, 2, 4]]);
    assert_eq!(
        chunked(&[None, Some(5.0), None, Some(5.0)], 600.0),
        [vec![0], vec![2], vec![1, 3]]
    );
    assert_eq!(chunked(&[], 600.0), Vec::<Vec<usize>>::new());
}

#[test]
#[cfg_attr(windows, ignore = "its paths are those of Unix, as are the queues")]
fn what_slurm_is_told() {
    let mut before = Vec::new();
    let mut texts = Vec::new();
    for (number, submission) in submissions(1001, 3).iter().enumerate() {
        texts.push(submission.as_text(&before));
        before.push((submission.kind, (10 + number).to_string()));
    }
    insta::assert_snapshot!(texts.join("\n\n"), @"
    sbatch --parsable --job-name=grid --nodes=1 --ntasks=1 --cpus-per-task=2 --requeue --open-mode=append --output=/store/logs/prepare_%j.log --partition=gpu --time=65 --mem=700M --signal=B:USR1@120 --account=lab <<'END'
    #!/bin/sh
    exec '/opt/spec book' worker /store/jobs-v1/grid-1/sweep.json --prepare
    END

    sbatch --dependency=afterok:10 --kill-on-invalid-dep=yes --parsable --job-name=grid --nodes=1 --ntasks=1 --cpus-per-task=2 --requeue --open-mode=append --output=/store/logs/%A_%a.log --partition=gpu --time=65 --mem=700M --array=0-2%32 --signal=B:USR1@120 --account=lab <<'END'
    #!/bin/sh
    exec '/opt/spec book' worker /store/jobs-v1/grid-1/sweep.json --index $(( SLURM_ARRAY_TASK_ID + 0 ))
    END

    sbatch --dependency=afterany:11 --parsable --job-name=grid --nodes=1 --ntasks=1 --cpus-per-task=1 --requeue --open-mode=append --output=/store/logs/report_%j.log --partition=gpu --time=65 --mem=700M --account=lab <<'END'
    #!/bin/sh
    exec '/opt/spec book' report /p/grid.yaml
    END
    ");
}

/// `MaxArraySize` bounds the index, not only the count: each part counts from 0 and has an offset.
#[test]
fn arrays_are_no_larger_than_the_queue_takes() {
    let all = submissions(4, 10);
    let arrays: Vec<_> = all[1..4]
        .iter()
        .map(|one| (one.kind, one.script.clone()))
        .collect();
    let tasks = [(0, 4), (4, 4), (8, 2)];
    for ((kind, script), (offset, count)) in arrays.iter().zip(tasks) {
        assert_eq!(*kind, JobKind::Chunks { offset, count });
        assert!(
            script.contains(&format!("SLURM_ARRAY_TASK_ID + {offset} ")),
            "{script}"
        );
    }
    assert!(all[3].arguments.contains(&"--array=0-1%32".into()));
    assert_eq!(all.len(), 5);
}

#[test]
fn the_queue_is_read_line_by_line() {
    let tasks = slurm::parse_tasks("12|3|RUNNING\n14|N/A|PENDING\n\nodd\n");
    let [array, alone] = &tasks[..] else {
        panic!("{tasks:?}")
    };
    assert_eq!(
        (array.job.as_str(), array.index, array.state.as_str()),
        ("12", Some(3), "RUNNING")
    );
    assert_eq!((alone.job.as_str(), alone.index), ("14", None));
    let said = r#"{"7": [{"id": 0, "state": "finished"}, {"id": 3, "state": "running"}, {"id": 4, "state": "waiting"}]}"#;
    let tasks = hyperqueue::parse_tasks("7", said).unwrap();
    let indices: Vec<_> = tasks.iter().map(|task| task.index).collect();
    assert_eq!(indices, [Some(2), Some(3)]);
    assert!(hyperqueue::parse_tasks("7", "?").is_err());
}

#[test]
#[cfg_attr(windows, ignore = "its paths are those of Unix, as are the queues")]
fn a_job_file_for_hyperqueue() {
    let text = job_file(&calls(true), 1, NEEDS, "grid", Path::new("/store/logs"));
    insta::assert_snapshot!(text, @r#"
    name = "grid"

    [[task]]
    id = 0
    stdout = "/store/logs/%{JOB_ID}_%{TASK_ID}_%{INSTANCE_ID}.out"
    stderr = "/store/logs/%{JOB_ID}_%{TASK_ID}_%{INSTANCE_ID}.log"
    command = ["/opt/spec book", "worker", "/store/jobs-v1/grid-1/sweep.json", "--prepare"]
    [[task.request]]
    resources = { "cpus" = 2 }
    time_request = "65m"

    [[task]]
    id = 1
    stdout = "/store/logs/%{JOB_ID}_%{TASK_ID}_%{INSTANCE_ID}.out"
    stderr = "/store/logs/%{JOB_ID}_%{TASK_ID}_%{INSTANCE_ID}.log"
    command = ["/opt/spec book", "worker", "/store/jobs-v1/grid-1/sweep.json", "--index", "0"]
    deps = [0]
    [[task.request]]
    resources = { "cpus" = 2 }
    time_request = "65m"

    [[task]]
    id = 2
    stdout = "/store/logs/%{JOB_ID}_%{TASK_ID}_%{INSTANCE_ID}.out"
    stderr = "/store/logs/%{JOB_ID}_%{TASK_ID}_%{INSTANCE_ID}.log"
    command = ["/opt/spec book", "report", "/p/grid.yaml"]
    deps = [1]
    [[task.request]]
    resources = { "cpus" = 1 }
    time_request = "65m"
    "#);
}

#[test]
fn commands_for_anything_else() {
    insta::assert_snapshot!(commands(&calls(false), 2), @"
    # First, and alone: data and tokenizers.
    '/opt/spec book' worker /store/jobs-v1/grid-1/sweep.json --prepare
    # In any order, on any machine that sees the store; each again where it was ended.
    '/opt/spec book' worker /store/jobs-v1/grid-1/sweep.json --index 0
    '/opt/spec book' worker /store/jobs-v1/grid-1/sweep.json --index 1
    ");
}

/// Workers read the files of a sweep from a shared store.
#[test]
fn changed_sweeps_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = crate::scheduler::testing::store(dir.path());
    let plan = crate::scheduler::testing::plan(2, 1);
    let runs: Vec<_> = plan.runs.iter().map(|run| (0, run.id)).collect();
    let sweep = Sweep {
        format: Sweep::FORMAT,
        specs: vec![SweepSpec {
            path: AnyPath("/p/grid.yaml".into()),
            text: "specbook: 1\n".to_owned(),
            profile: "desk".to_owned(),
            overrides: vec!["train.batch_size=4".to_owned()],
            plan: SweepSpec::digest(plan.runs.iter()),
        }],
        numerics: Vec::new(),
        chunks: vec![Chunk {
            seconds: Some(1.5),
            runs,
        }],
        threads: 2,
        jobs: 1,
        device: "cpu".to_owned(),
        requeues: 3,
        beat_seconds: 2.0,
        stale_seconds: 60.0,
    };
    let folder = SweepFolder::create(&store, "grid", &sweep).unwrap();
    let jobs = Jobs {
        format: Sweep::FORMAT,
        queue: "slurm".to_owned(),
        jobs: vec![Job {
            id: "17".to_owned(),
            kind: JobKind::Chunks {
                offset: 0,
                count: 1,
            },
        }],
    };
    folder.put_jobs(&store, &jobs).unwrap();
    let jobs_file = folder.0.join("jobs.json");
    let seeds = [folder.file(), jobs_file.clone()].map(|file| std::fs::read(file).unwrap());
    let words = [
        "null",
        "[",
        "]",
        "{",
        "}",
        "1e999",
        "-1",
        "\"chunks\":",
        "\"jobs\":",
        "../../x",
    ];
    crate::test_support::fuzz("sweeps", &seeds, &words, 100, |bytes| {
        // As it is, and correctly sealed where it is JSON.
        let tree = serde_json::from_slice(bytes).ok();
        let sealed = tree.and_then(|mut tree: serde_json::Value| {
            tree.as_object_mut()?.remove("sha256");
            crate::store::seal("a lie", &tree).ok()
        });
        for contents in [Some(bytes.to_vec()), sealed].into_iter().flatten() {
            for file in [folder.file(), jobs_file.clone()] {
                std::fs::write(file, &contents).unwrap();
            }
            if let Ok(read) = folder.sweep(&store) {
                let _ = (read.runs(), read.leases());
            }
            let _ = folder.jobs(&store);
        }
    });
}
