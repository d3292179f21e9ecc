//! The command line: parses, calls the library, prints. One file per command; nothing is computed
//! here.

mod acceptance;
mod args;
mod bench;
mod bundle;
mod cancel;
mod chat;
mod check;
mod cite;
mod data;
mod diff;
mod doctor;
mod eval;
mod exit;
mod explain;
mod export;
mod failure;
mod fetch;
mod help;
mod import;
mod init;
mod jobs;
mod live;
mod logits;
mod ls;
mod man;
mod memory;
mod outcome;
mod plan;
mod pool;
mod print;
mod progress;
mod project;
mod reference;
mod register;
mod remote;
mod report;
mod results;
mod run;
mod sample;
mod shared;
mod show;
mod signals;
mod status;
mod store;
mod stream;
mod submit;
mod tensorboard;
mod terminal_plot;
mod verify;
mod worker;
mod workspace;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use failure::Failure;
use print::Printer;
use std::process::ExitCode;

/// Runs the program: parses the arguments, executes the command, prints, and returns the exit code.
pub fn run() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let printed = error.print();
            // A closed pipe behind `--help` needs no message.
            let lost = printed.err();
            if let Some(lost) = lost.filter(|lost| lost.kind() != std::io::ErrorKind::BrokenPipe) {
                Printer::silent().error(&format!("cannot write to standard output: {lost}"), None);
                return ExitCode::from(exit::UNEXPECTED);
            }
            if let Some(setting) = help::setting_of_option(&error) {
                print::hint(&format!(
                    "`{setting}` is a setting: `--set {setting}=VALUE`, or a line of the spec"
                ));
            }
            return ExitCode::from(if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            });
        }
    };
    let printer = Printer::new(&cli.global);
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !crate::data::tokenizer::is_guarded() {
            report(panic);
        }
    }));
    let code = signals::obey()
        .and_then(|()| named_store(&mut cli.global))
        .and_then(|()| dispatch(&cli, printer));
    let code = code.unwrap_or_else(|failure| {
        failure.print(printer);
        failure.code
    });
    match print::lost_results() {
        Some(reason) if code == exit::OK => {
            printer.error(&format!("cannot write to standard output: {reason}"), None);
            ExitCode::from(exit::UNEXPECTED)
        }
        _ => ExitCode::from(code),
    }
}

/// Treats an empty environment variable as unset.
fn named_store(global: &mut args::Global) -> Result<(), Failure> {
    if global
        .store
        .as_ref()
        .is_none_or(|store| !store.as_os_str().is_empty())
    {
        return Ok(());
    }
    match std::env::var_os(args::STORE_VARIABLE) {
        Some(value) if value.is_empty() => {
            global.store = None;
            Ok(())
        }
        _ => Err(Failure::usage("`--store` names no folder")
            .hint("name one, or leave `--store` out: then it is `.specbook` of the project")),
    }
}

fn dispatch(cli: &Cli, printer: Printer) -> Result<u8, Failure> {
    let global = &cli.global;
    if global.format == args::Format::Csv && !matches!(cli.command, Command::Ls(_)) {
        return Err(Failure::usage("`--format csv` is for `ls` only").hint("use `--format json`"));
    }
    let prints_only = matches!(
        cli.command,
        Command::Schema(_) | Command::Completions { .. } | Command::Man(_) | Command::Help(_)
    );
    if !prints_only {
        pool::start()?;
    }
    match &cli.command {
        Command::Init(args) => init::execute(args, printer),
        Command::Check(args) => check::execute(args, global, printer),
        Command::Register(args) => register::execute(args, global, printer),
        Command::Plan(args) => plan::execute(args, global, printer),
        Command::Run(args) => run::execute(args, global, printer),
        Command::Report(args) => report::execute(args, global, printer),
        Command::Status(args) => status::execute(args, global, printer),
        Command::Submit(args) => submit::execute(args, global, printer),
        Command::Cancel(args) => cancel::execute(args, global, printer),
        Command::Worker(args) => worker::execute(args, global, printer),
        Command::Explain(args) => explain::execute(args, global, printer),
        Command::Ls(args) => ls::execute(args, global, printer),
        Command::Show(args) => show::execute(args, global, printer),
        Command::Diff(args) => diff::execute(args, global, printer),
        Command::Sample(args) => sample::execute(args, global, printer),
        Command::Chat(args) => chat::execute(args, global, printer),
        Command::Eval(args) => eval::execute(args, global, printer),
        Command::Export(args) => export::execute(args, global, printer),
        Command::Bundle(args) => bundle::execute(args, global, printer),
        Command::Cite(args) => cite::execute(args, global, printer),
        Command::Import(args) => import::execute(args, global, printer),
        Command::Logits(args) => logits::execute(args, global, printer),
        Command::Bench(args) => bench::execute(args, global, printer),
        Command::Verify(args) => verify::execute(args, global, printer),
        Command::Store(command) => store::execute(command, global, printer),
        Command::Data(command) => data::execute(command, global, printer),
        Command::Doctor(args) => doctor::execute(args, global, printer),
        Command::GpuAcceptance(args) => acceptance::execute(args, global, printer),
        Command::Help(args) => help::execute(args, printer),
        Command::Schema(args) => {
            printer.json_result(&crate::spec::json_schema_of(
                args.draft == args::Draft::Seven,
            ))?;
            Ok(exit::OK)
        }
        Command::Man(args) => man::execute(args, printer),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "specbook", &mut script);
            printer.result(&String::from_utf8_lossy(&script));
            Ok(exit::OK)
        }
    }
}
