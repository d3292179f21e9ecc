//! The data of a run for trackers, and event files read back.

use super::*;
use crate::fsx::RealFs;
use serde_json::json;

fn run(name: &str, dim: u64) -> Tracked {
    let point = |step: u64| MetricPoint {
        step,
        epoch: step as f64,
        train_loss: 3.5 / step as f64,
        val_loss: (step == 2).then_some(0.1),
        ..MetricPoint::default()
    };
    Tracked {
        spec: "s".to_owned(),
        profile: "desk".to_owned(),
        name: name.to_owned(),
        id: format!("{dim:064x}"),
        settings: vec![
            ("model.dim".to_owned(), json!(dim)),
            ("train.loss".to_owned(), json!("=sum(a),\"b\"")),
        ],
        metrics: [("val_loss".to_owned(), 0.1)].into(),
        points: vec![point(1), point(2)],
        seconds: vec![0.5, 1.0],
        samples: Vec::new(),
    }
}

#[test]
fn tables_hold_every_setting_and_result() {
    let folder = tempfile::tempdir().unwrap();
    let runs = [
        run("dim=16", 16),
        Tracked {
            metrics: BTreeMap::new(),
            ..run("-dim=32", 32)
        },
    ];
    let files = csv::Csv.files(&runs);
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let fs = RealFs::without_sync();
    let mut out = Folder::begin(&fs, folder.path(), "csv", "s", &names).unwrap();
    csv::Csv.write(&runs, &mut out).unwrap();
    out.finish(&names).unwrap();
    let text = std::fs::read_to_string(folder.path().join("runs.csv")).unwrap();
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        [
            "id",
            "spec",
            "profile",
            "name",
            "model.dim",
            "train.loss",
            "val_loss"
        ]
    );
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    let cells: Vec<&str> = rows[0].iter().skip(4).collect();
    assert_eq!(cells, ["16", "'=sum(a),\"b\"", "0.1"]);
    assert_eq!((&rows[1][3], &rows[1][6]), ("'-dim=32", ""));
    let steps = std::fs::read_to_string(folder.path().join("steps.csv")).unwrap();
    assert_eq!(steps.lines().count(), 5);
    assert!(
        steps.lines().nth(2).unwrap().contains(",2,2,0,1.75,"),
        "{steps}"
    );
}

#[test]
fn event_files_are_whole_records_in_folders_of_their_own() {
    let runs = [run("a/b=1", 16), run("../x", 32)];
    let files = tensorboard::TensorBoard.files(&runs);
    assert_eq!(files[0], "s/a-b=1/events.out.tfevents.0.specbook");
    assert!(!files[1].contains(".."), "{files:?}");
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let fs = RealFs::without_sync();
    let mut out = Folder::begin(&fs, folder.path(), "tensorboard", "s", &names).unwrap();
    tensorboard::TensorBoard.write(&runs, &mut out).unwrap();
    out.finish(&names).unwrap();
    let bytes = std::fs::read(folder.path().join(&files[0])).unwrap();
    let (mut at, mut records) = (0, 0);
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        at += 8 + 4 + length + 4;
        records += 1;
    }
    // Version, settings, two steps, results, end.
    assert_eq!((at, records), (bytes.len(), 6));
}
