//! Sends runs to an MLflow server through its REST API.
//!
//! The experiment has the spec's name. A run is identified by its tag `specbook.run_id`; a complete one has the tag
//! `specbook.complete` and is skipped, so sending twice, or again after a lost connection, changes nothing. Times of
//! metrics count from the start time stored on the server, so that a metric sent again is identical.

use super::{Tracked, text};
use crate::interop::InteropError;
use crate::net::{Client, Method, NetError, Payload, Request};
use crate::record::MetricPoint;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Its name for `--to`.
pub const NAME: &str = "mlflow";
/// Its use, in one sentence.
pub const ABOUT: &str =
    "Runs on an MLflow server, given by its address; sending them twice changes nothing.";
/// Maximum metrics per request; MLflow accepts 1000 entries in total.
const METRICS: usize = 800;
/// Maximum parameters per request.
const PARAMETERS: usize = 100;
/// Maximum length of a parameter value, characters.
const LONGEST: usize = 500;
/// The tag that identifies a run.
const RUN_ID: &str = "specbook.run_id";
/// The tag of a complete run.
const COMPLETE: &str = "specbook.complete";

/// Numbers of runs sent and already present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Sent now.
    pub sent: usize,
    /// Already complete on the server.
    pub there: usize,
}

/// Sends the runs to the server at `uri`.
///
/// # Errors
/// A server that cannot be reached or refuses a request.
pub fn send(uri: &str, runs: &[Tracked]) -> Result<Sent, InteropError> {
    let server = Server::new(uri)?;
    let mut sent = Sent::default();
    let mut experiment: Option<(String, String)> = None;
    for run in runs {
        let id = match &experiment {
            Some((name, id)) if *name == run.spec => id.clone(),
            _ => server.experiment(&run.spec)?,
        };
        experiment = Some((run.spec.clone(), id.clone()));
        match server.run(&id, run)? {
            true => sent.sent += 1,
            false => sent.there += 1,
        }
    }
    Ok(sent)
}

struct Server {
    uri: String,
    client: Client,
}

/// Maximum response size, bytes.
const LIMIT: u64 = 16 << 20;

impl Server {
    fn new(uri: &str) -> Result<Self, InteropError> {
        let uri = uri.trim_end_matches('/').to_owned();
        match Client::new() {
            Ok(client) => Ok(Self { uri, client }),
            Err(NetError { reason, .. }) => Err(InteropError::Server { uri, reason }),
        }
    }

    fn failed(&self, reason: impl ToString) -> InteropError {
        InteropError::Server {
            uri: self.uri.clone(),
            reason: reason.to_string(),
        }
    }

    /// Sends a request; `None` if the server reports that the resource does not exist.
    fn ask(&self, path: &str, body: &Value) -> Result<Option<Value>, InteropError> {
        let url = format!("{}/api/2.0/mlflow/{path}", self.uri);
        let request = Request::new(Method::Post, url).header("content-type", "application/json");
        let body = body.to_string();
        match self.client.send(&request, Payload::Bytes(body.as_bytes())) {
            Ok(mut answer) => {
                let bytes = answer.bytes(LIMIT).map_err(|error| self.failed(error))?;
                Ok(Some(serde_json::from_slice(&bytes).unwrap_or_default()))
            }
            Err(error) if error.reason.contains("RESOURCE_DOES_NOT_EXIST") => Ok(None),
            Err(error) => Err(self.failed(format!("`{path}`: {}", error.reason))),
        }
    }

    fn told(&self, path: &str, body: &Value) -> Result<Value, InteropError> {
        let missing = || self.failed(format!("`{path}`: there is no such thing"));
        self.ask(path, body)?.ok_or_else(missing)
    }

    fn experiment(&self, name: &str) -> Result<String, InteropError> {
        let quoted = name.replace('\'', "");
        let search = json!({"filter": format!("name = '{quoted}'"), "max_results": 1});
        let found = self.told("experiments/search", &search)?;
        let id = found["experiments"][0]["experiment_id"].as_str();
        if let Some(id) = id {
            return Ok(id.to_owned());
        }
        let made = self.told("experiments/create", &json!({"name": quoted}))?;
        let id = made["experiment_id"].as_str();
        id.map(str::to_owned)
            .ok_or_else(|| self.failed("it gave no experiment"))
    }

    /// Sends a run; returns `false` if it is already there.
    fn run(&self, experiment: &str, run: &Tracked) -> Result<bool, InteropError> {
        let filter = format!("tags.`{RUN_ID}` = '{}'", run.id);
        let search = json!({"experiment_ids": [experiment], "filter": filter, "max_results": 1});
        let found = self.told("runs/search", &search)?;
        let mut info = found["runs"][0].clone();
        let tags = info["data"]["tags"].as_array().into_iter().flatten();
        if tags.into_iter().any(|tag| tag["key"] == COMPLETE) {
            return Ok(false);
        }
        if info.is_null() {
            let tags = [(RUN_ID, &run.id), ("specbook.profile", &run.profile)];
            let tags = tags.map(|(key, value)| json!({"key": key, "value": value}));
            let create = json!({"experiment_id": experiment, "run_name": run.name, "start_time": now(), "tags": tags});
            info = self.told("runs/create", &create)?["run"].clone();
        }
        let id = info["info"]["run_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let start = info["info"]["start_time"].as_i64().unwrap_or(0);
        let at =
            |step: usize| start + (run.seconds.get(step).copied().unwrap_or(0.0) * 1000.0) as i64;
        let mut metrics = Vec::new();
        for (index, point) in run.points.iter().enumerate() {
            let values = MetricPoint::SERIES
                .iter()
                .filter_map(|series| Some((series, point.value(series)?)));
            metrics.extend(values.map(|(series, value)| {
                json!({"key": series, "value": value, "timestamp": at(index), "step": point.step})
            }));
        }
        let (last, end) = (
            run.points.len() as u64,
            at(run.points.len().saturating_sub(1)),
        );
        metrics.extend(run.metrics.iter().map(|(name, value)| {
            json!({"key": format!("final/{name}"), "value": value, "timestamp": end, "step": last})
        }));
        let parameters = run.settings.iter().map(|(path, value)| {
            let value: String = text(value).chars().take(LONGEST).collect();
            json!({"key": path, "value": value})
        });
        let parameters: Vec<Value> = parameters.collect();
        for batch in parameters.chunks(PARAMETERS) {
            self.told("runs/log-batch", &json!({"run_id": id, "params": batch}))?;
        }
        for batch in metrics.chunks(METRICS) {
            self.told("runs/log-batch", &json!({"run_id": id, "metrics": batch}))?;
        }
        self.told(
            "runs/update",
            &json!({"run_id": id, "status": "FINISHED", "end_time": end}),
        )?;
        self.told(
            "runs/set-tag",
            &json!({"run_id": id, "key": COMPLETE, "value": "true"}),
        )?;
        Ok(true)
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
