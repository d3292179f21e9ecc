//! `specbook chat`: a prompt at which a model continues the user's input.
//!
//! The models are not trained on conversations: each input starts a new text, which the model
//! continues. On a terminal, lines can be edited and are remembered; from a pipe, they are read one
//! after another. Ctrl-C stops the current text, not the program.

mod columns;
mod commands;

use super::args::{ChatArgs, ComputeArgs, DrawArgs, Global};
use super::failure::Failure;
use super::print::Printer;
use super::shared::LoadedModel;
use super::stream::{self, Continuation};
use super::{exit, project};
use crate::store::Store;
use commands::Line;
use rustyline::error::ReadlineError;
use std::io::{BufRead as _, IsTerminal as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

/// The prompt shown to the user.
const PROMPT: &str = "> ";
/// Number of input lines kept from one session to the next.
const REMEMBERED: usize = 1000;

/// Chats until the input ends.
pub(crate) fn execute(args: &ChatArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    if printer.json() {
        return Err(Failure::usage("`chat` has no JSON form")
            .hint("`specbook sample --format json` has one"));
    }
    stream::check(&args.draw)?;
    let store = project::store_here(global)?;
    let models = args
        .runs
        .iter()
        .map(|run| LoadedModel::open(&store, run, &args.compute, printer));
    let mut chat = Chat {
        names: args
            .runs
            .iter()
            .map(|run| run.to_string_lossy().into_owned())
            .collect(),
        models: models.collect::<Result<_, _>>()?,
        both: args.runs.len() > 1,
        draw: args.draw.clone(),
        compute: &args.compute,
        store: &store,
        printer,
        stop: Arc::new(AtomicBool::new(false)),
    };
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&chat.stop))
        .map_err(|error| Failure::usage(format!("cannot listen for signals: {error}")))?;
    if std::io::stdin().is_terminal() {
        chat.interactive()
    } else {
        chat.piped()
    }
}

/// The state of a chat.
struct Chat<'a> {
    names: Vec<String>,
    models: Vec<LoadedModel>,
    both: bool,
    draw: DrawArgs,
    compute: &'a ComputeArgs,
    store: &'a Store,
    printer: Printer,
    stop: Arc<AtomicBool>,
}

impl Chat<'_> {
    fn interactive(&mut self) -> Result<u8, Failure> {
        let broken = |error: ReadlineError| {
            Failure::usage(format!("cannot read from the terminal: {error}"))
        };
        let config = rustyline::Config::builder()
            .max_history_size(REMEMBERED)
            .map_err(broken)?;
        let mut editor =
            rustyline::DefaultEditor::with_config(config.auto_add_history(true).build())
                .map_err(broken)?;
        let history = history();
        if let Some(file) = &history {
            // The first session has no history file.
            let _ = editor.load_history(file);
        }
        self.printer.note("type the beginning of a text; /help lists the commands, Ctrl-C ends a text, Ctrl-D the program");
        loop {
            match editor.readline(PROMPT) {
                Ok(line) => {
                    if self.answer(&line)?.is_break() {
                        break;
                    }
                }
                Err(ReadlineError::Interrupted) => self.printer.note("Ctrl-D ends the program"),
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(broken(error)),
            }
        }
        if let Some(file) = &history {
            let folder = file.parent().map(std::fs::create_dir_all);
            let saved = folder.transpose().map_err(|error| error.to_string());
            let saved =
                saved.and_then(|_| editor.save_history(file).map_err(|error| error.to_string()));
            if let Err(reason) = saved {
                self.printer.warning(&format!(
                    "cannot save what was typed in `{}`: {reason}",
                    file.display()
                ));
            }
        }
        Ok(exit::OK)
    }

    fn piped(&mut self) -> Result<u8, Failure> {
        for line in std::io::stdin().lock().lines() {
            let line = line
                .map_err(|error| Failure::input(format!("cannot read standard input: {error}")))?;
            if self.answer(&line)?.is_break() {
                break;
            }
        }
        Ok(exit::OK)
    }

    /// Executes a line; `Break` ends the chat.
    fn answer(&mut self, line: &str) -> Result<ControlFlow<()>, Failure> {
        let wrong = match commands::parse(line) {
            Ok(Line::Empty) => return Ok(ControlFlow::Continue(())),
            Ok(Line::End) => return Ok(ControlFlow::Break(())),
            Ok(Line::Text(text)) => {
                self.continue_text(text)?;
                return Ok(ControlFlow::Continue(()));
            }
            Ok(Line::Help) => {
                self.printer.note(commands::HELP);
                return Ok(ControlFlow::Continue(()));
            }
            Ok(Line::Both(other)) => self.both(other),
            Ok(Line::Set(change)) => {
                change.apply(&mut self.draw);
                Ok(())
            }
            Err(message) => Err(message),
        };
        match wrong {
            Ok(()) => self.printer.note(&self.state()),
            Err(message) => self.printer.warning(&message),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn state(&self) -> String {
        let draw = &self.draw;
        let names = match self.both {
            true => self.names.join(" and "),
            false => self.names[0].clone(),
        };
        let mut words = format!("{names}; temperature {}", draw.temperature);
        words += &draw.top_p.map_or(String::new(), |p| format!(", top_p {p}"));
        words += &draw.top_k.map_or(String::new(), |k| format!(", top_k {k}"));
        format!(
            "{words}, seed {}, at most {} tokens",
            draw.seed, draw.max_new_tokens
        )
    }

    /// Shows two models, or returns to one.
    fn both(&mut self, other: Option<&str>) -> Result<(), String> {
        match other {
            Some("off") => self.both = false,
            Some(name) => {
                let opened = LoadedModel::open(self.store, name, self.compute, self.printer);
                let model = opened.map_err(|failure| failure.message().to_owned())?;
                self.models.truncate(1);
                self.names.truncate(1);
                self.models.push(model);
                self.names.push(name.to_owned());
                self.both = true;
            }
            None if self.models.len() < 2 => {
                return Err("only one model is loaded; `/both RUN` adds another".to_owned());
            }
            None => self.both = !self.both,
        }
        Ok(())
    }

    fn continue_text(&mut self, text: &str) -> Result<(), Failure> {
        self.stop.store(false, Ordering::SeqCst);
        let shown = if self.both {
            &self.models[..]
        } else {
            &self.models[..1]
        };
        let mut prompts = Vec::new();
        for model in shown {
            let ids = model.prompt(text)?;
            let positions = model.model.max_seq_len;
            if ids.len() >= positions {
                let (count, printer) = (ids.len(), self.printer);
                printer.warning(&format!("the text has {count} tokens, the model's context {positions}: there is no room for more"));
                return Ok(());
            }
            prompts.push([ids]);
        }
        match (shown, &prompts[..]) {
            ([model], [prompt]) => self.one(model, prompt, text),
            _ => self.side_by_side(shown, &prompts, text),
        }
    }

    fn one(&self, model: &LoadedModel, prompt: &[Vec<u32>; 1], text: &str) -> Result<(), Failure> {
        let mut making = Continuation::new(&model.tokenizer, &prompt[0]);
        let job = stream::job(model, prompt, &self.draw);
        self.printer.piece(text);
        let made = model
            .engine
            .generate_each(&model.weights, &job, &mut |_, id| {
                self.printer.piece(&making.push(id));
                self.go_on()
            });
        self.printer.piece(&format!("{}\n", making.rest()));
        made?;
        Ok(())
    }

    fn go_on(&self) -> ControlFlow<()> {
        match self.stop.load(Ordering::SeqCst) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Two models at once; both sample with the same random numbers.
    fn side_by_side(
        &self,
        models: &[LoadedModel],
        prompts: &[[Vec<u32>; 1]],
        text: &str,
    ) -> Result<(), Failure> {
        let mut columns = columns::Columns::new(self.printer, &self.names);
        let (send, receive) = mpsc::channel::<(usize, String)>();
        (0..models.len()).for_each(|side| columns.add(side, text));
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = models
                .iter()
                .zip(prompts)
                .enumerate()
                .map(|(side, (model, prompt))| {
                    let (send, draw) = (send.clone(), &self.draw);
                    scope.spawn(move || {
                        let mut making = Continuation::new(&model.tokenizer, &prompt[0]);
                        let job = stream::job(model, prompt, draw);
                        let made =
                            model
                                .engine
                                .generate_each(&model.weights, &job, &mut |_, id| {
                                    // The receiver is gone only after a panic.
                                    let _ = send.send((side, making.push(id)));
                                    self.go_on()
                                });
                        let _ = send.send((side, making.rest()));
                        made
                    })
                })
                .collect();
            drop(send);
            receive
                .iter()
                .for_each(|(side, text)| columns.add(side, &text));
            threads
                .into_iter()
                .map(std::thread::ScopedJoinHandle::join)
                .collect()
        });
        columns.end();
        for made in made {
            made.map_err(|_| Failure::run("a text could not be made"))??;
        }
        Ok(())
    }
}

/// The file that keeps the input lines.
fn history() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let state = match cfg!(windows) {
        true => folder("LOCALAPPDATA")?,
        false => folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?,
    };
    Some(state.join("specbook").join("chat-history"))
}
