//! Whether steps started as one CUDA graph have the same bits as steps call by call, and how long both take.

use crate::bench::{Case, Shape, shapes};
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::data::SequenceSet;
use crate::record::MetricPoint;
use crate::spec::{Dtype, TrainSettings};
use crate::train::engine::cuda::graphs::{Graphs, watched};
use crate::train::{
    Checkpoint, Engine, Finished, Observer, StepTiming, TrainError, TrainJob, Trained,
};
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// A published shape that the host limits by estimate; not trained on an emulated GPU, which is slow.
const PUBLISHED: &str = "grid-128-8-32";
/// Steps of each training.
const STEPS: usize = 40;

/// Trains a tiny model and, unless `is_rehearsal`, a published one, each with and without graphs.
pub(super) fn run(engine: &dyn Engine, is_rehearsal: bool) -> Result<Vec<Compared>, Failure> {
    let mut found = Vec::new();
    for shape in shapes() {
        if shape.name != PUBLISHED {
            continue;
        }
        found.extend(both(engine, &tiny(&shape), 8)?);
        if !is_rehearsal {
            found.extend(both(engine, &shape, STEPS)?);
        }
    }
    Ok(found)
}

fn tiny(of: &Shape) -> Shape {
    let mut shape = of.clone();
    "tiny".clone_into(&mut shape.name);
    (shape.seq_len, shape.batch_size) = (16, 4);
    let model = &mut shape.model;
    (model.dim, model.n_layers, model.hidden_dim) = (32, 2, 48);
    (model.n_heads, model.n_kv_heads) = (2, 2);
    (model.vocab_size, model.max_seq_len) = (64, 16);
    shape
}

fn both(engine: &dyn Engine, shape: &Shape, steps: usize) -> Result<Vec<Compared>, TrainError> {
    let (case, validation) = (Case::of_shape(shape), SequenceSet::new());
    let compare = |(name, dtype)| {
        let train = TrainSettings {
            dtype,
            epochs: None,
            max_steps: Some(steps),
            ..case.train.clone()
        };
        let job = case.job(&train, &validation, 1);
        let (plain, _) = watched(true, || Steps::of(engine, &job));
        let (graph, graphs) = watched(false, || Steps::of(engine, &job));
        let (plain, graph) = (plain?, graph?);
        let losses = |at: Option<&MetricPoint>| at.map_or(f64::NAN, |point| point.train_loss);
        Ok(Compared {
            what: format!("{} {name}", shape.name),
            losses: [losses(plain.points.first()), losses(plain.points.last())],
            same: graph.points == plain.points && graph.last == plain.last,
            milliseconds: [&plain, &graph].map(Steps::milliseconds),
            graphs,
        })
    };
    [("f32", Dtype::F32), ("bf16", Dtype::Bf16)]
        .into_iter()
        .map(compare)
        .collect()
}

/// A training.
#[derive(Default)]
struct Steps {
    points: Vec<MetricPoint>,
    seconds: Vec<f64>,
    last: Option<Checkpoint>,
}

impl Steps {
    fn of(engine: &dyn Engine, job: &TrainJob<'_>) -> Result<Self, TrainError> {
        let mut steps = Self::default();
        if let Trained::Finished(finished) = engine.train(job, None, &mut steps)? {
            let Finished { checkpoint, .. } = *finished;
            steps.last = Some(checkpoint);
        }
        Ok(steps)
    }

    /// The median of the second half, after recording.
    fn milliseconds(&self) -> f64 {
        let mut late = self.seconds[self.seconds.len() / 2..].to_vec();
        late.sort_by(f64::total_cmp);
        late.get(late.len() / 2)
            .map_or(f64::NAN, |seconds| 1e3 * seconds)
    }
}

impl Observer for Steps {
    fn on_step(&mut self, point: &MetricPoint, timing: StepTiming) -> ControlFlow<()> {
        self.points.push(point.clone());
        self.seconds.push(timing.train_seconds);
        ControlFlow::Continue(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// A training with graphs, compared with one without.
pub(super) struct Compared {
    what: String,
    /// Of the first and the last step.
    losses: [f64; 2],
    same: bool,
    /// Per step, without and with graphs.
    milliseconds: [f64; 2],
    graphs: Graphs,
}

impl Compared {
    /// Also requires that graphs were used, and that the model learned: a device that does nothing repeats itself.
    pub(super) fn holds(&self) -> bool {
        let [first, last] = self.losses;
        self.same && self.graphs.steps > 0 && last < first && last > 0.0
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "graph": self.what, "steps_as_graph": self.graphs.steps, "refused": self.graphs.refused, "losses": self.losses,
            "same": self.same, "milliseconds": self.milliseconds, "ok": self.holds(),
        })
    }
}

pub(super) fn table(found: &[Compared]) -> String {
    let rows = found.iter().map(|found| {
        let [plain, graph] = found.milliseconds.map(|time| format!("{time:.2}"));
        let refused = found.graphs.refused.as_ref();
        vec![
            found.what.clone(),
            format!("{:.4} to {:.4}", found.losses[0], found.losses[1]),
            if found.same {
                "same bits"
            } else {
                "OTHER BITS"
            }
            .to_owned(),
            refused.map_or_else(
                || found.graphs.steps.to_string(),
                |why| format!("none: {why}"),
            ),
            plain,
            graph,
        ]
    });
    let header = [
        "graph",
        "loss",
        "with and without",
        "steps as a graph",
        "ms without",
        "ms with",
    ];
    print::table(&header, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bits_fail_and_so_do_graphs_that_are_not_used_or_do_nothing() {
        let holds = |same, steps, last| {
            let found = Compared {
                what: String::new(),
                losses: [5.0, last],
                same,
                milliseconds: [1.0; 2],
                graphs: Graphs {
                    steps,
                    ..Graphs::default()
                },
            };
            found.holds()
        };
        assert!(holds(true, 3, 4.0));
        for (same, steps, last) in [
            (false, 3, 4.0),
            (true, 0, 4.0),
            (true, 3, 5.0),
            (true, 3, 0.0),
        ] {
            assert!(!holds(same, steps, last));
        }
        assert!(!holds(true, 3, f64::NAN));
    }
}
