//! `events.ndjson`: what happened when, one JSON object a line, run after run.
//!
//! `id` numbers the events of a run from 0; `cause` is the `id` of the event, in the same run,
//! that brought this one about.

use sim_core::result::RunResult;

/// The document.
pub fn document(runs: &[RunResult]) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::new();
    for run in runs {
        for (id, event) in run.events.iter().enumerate() {
            let line = Line {
                run: &run.name,
                id,
                t_s: event.at.as_secs_f64(),
                kind: event.kind,
                subject: &event.subject,
                detail: &event.detail,
                cause: event.cause,
            };
            serde_json::to_writer(&mut bytes, &line)?;
            bytes.push(b'\n');
        }
    }
    Ok(bytes)
}

#[derive(serde::Serialize)]
struct Line<'a> {
    run: &'a str,
    id: usize,
    t_s: f64,
    kind: &'a str,
    subject: &'a str,
    detail: &'a str,
    cause: Option<u32>,
}
