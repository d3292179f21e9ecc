//! `chat` on a pseudo-terminal, with typed input.

use crate::project::{Project, TINY};
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Maximum time until something appears, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const BACKSPACE: &str = "\x7f";
const LEFT: &str = "\x1b[D";
const UP: &str = "\x1b[A";
/// Marks the start of reading a line: enables bracketed paste.
const READS: &str = "\x1b[?2004h";

/// A program on a terminal.
struct Terminal {
    keys: File,
    screen: Receiver<Vec<u8>>,
    /// Output that has not been consumed yet.
    seen: String,
    child: Child,
}

impl Terminal {
    /// Starts `arguments` of the program; `setsid` makes this its controlling terminal, so that Ctrl-C
    /// reaches it.
    fn open(project: &Project, arguments: &[&str]) -> Self {
        let size = Winsize {
            ws_row: 40,
            ws_col: 200,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).unwrap();
        let inside = || pair.slave.try_clone().unwrap();
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_specbook")])
            .args(arguments)
            .current_dir(project.path())
            .env_remove("SPECBOOK_STORE")
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .env("XDG_STATE_HOME", project.path().join("state"))
            .stdin(inside())
            .stdout(inside())
            .stderr(inside())
            .spawn()
            .unwrap();
        drop(pair.slave);
        let keys = File::from(pair.master);
        let mut output = keys.try_clone().unwrap();
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails once the program has ended.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            keys,
            screen,
            seen: String::new(),
            child,
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line, and waits for `text` and for the next prompt.
    #[track_caller]
    fn line(&mut self, keys: &str, text: &str) {
        self.types(&format!("{keys}\r"));
        self.shows(text);
        self.prompts();
    }

    /// Waits until a line can be typed; returns the output before it.
    #[track_caller]
    fn prompts(&mut self) -> String {
        let before = self.shows(READS);
        self.shows("> ");
        before
    }

    /// Waits until `text` has appeared; returns the output before it.
    #[track_caller]
    fn shows(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                let mut before = std::mem::replace(&mut self.seen, rest);
                before.truncate(at);
                return before;
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(_) => panic!("`{text}` did not appear: {}", self.seen.escape_debug()),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_talk_at_a_terminal() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let long = [
        "run",
        "specs/tiny.yaml",
        "--no-report",
        "--set",
        "model.max_seq_len=20000",
    ];
    project.run(&long).success();
    let sampled = |model: &str| {
        let options = [
            "--prompt",
            "Once",
            "--temperature",
            "0",
            "--max-new-tokens",
            "8",
        ];
        let ran = project.run(&[&["sample", model][..], &options].concat());
        ran.success().stdout.trim_end().to_owned()
    };
    let text = sampled("tiny/dim=32");
    let options = ["--temperature", "0", "--max-new-tokens", "8"];
    let mut chat = Terminal::open(&project, &[&["chat", "tiny/dim=32"][..], &options].concat());
    chat.prompts();
    let continued = format!("\n{text}");
    // Editing a line: the cursor moves back and a letter is deleted.
    chat.line(&format!("Onxe{LEFT}{BACKSPACE}c"), &continued);
    // The previous line is in the history.
    chat.line(UP, &continued);
    chat.line("/both tiny/dim=16", "tiny/dim=32 and tiny/dim=16;");
    chat.line("Once", "\u{2502}");
    chat.line("/both", "tiny/dim=32; temperature 0,");
    chat.line("/temperature 0.9", "temperature 0.9,");
    chat.line("/top_p 0.8", "top_p 0.8,");
    chat.line("/seed 7", "seed 7,");
    chat.line("/tokens 19000", "at most 19000 tokens");
    chat.line("/temperature 0", "temperature 0,");
    // Streamed text: its beginning appears before its end, and Ctrl-C ends the text, not the program.
    chat.types("Once\r");
    chat.shows(&continued);
    chat.types(CTRL_C);
    let streamed = chat.prompts();
    assert!(
        streamed.len() < 19_000,
        "it was not ended: {}",
        streamed.len()
    );
    // At the prompt, Ctrl-C only prints how to quit.
    chat.types(CTRL_C);
    chat.shows("Ctrl-D ends the program");
    chat.prompts();
    chat.types(CTRL_D);
    assert!(chat.child.wait().unwrap().success());
    let remembered = project.read("state/specbook/chat-history");
    assert!(
        remembered.contains("Once\n/both tiny/dim=16\n"),
        "{remembered}"
    );
}
