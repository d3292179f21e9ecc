//! Reports in a real browser, if one is installed: light, dark, four widths and print. Nothing
//! overflows, nothing is fetched, the console stays empty, and on a narrow screen the finding
//! precedes the table of contents.

use super::{files, fixture, put};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A headless Chromium, found by its names on various systems.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

/// Loads every page at four widths and writes one line for each: the elements that overflow, and
/// the requests made.
const PROBE: &str = r#"<!doctype html><body><pre id="out"></pre><script>
const pages = PAGES, widths = [320, 390, 800, 1400];
(async () => {
  const lines = [];
  for (const page of pages) for (const width of widths) {
    const frame = document.createElement('iframe');
    frame.width = width; frame.height = 800; frame.style.border = 0; frame.src = page;
    await new Promise(done => { frame.onload = done; document.body.append(frame); });
    const root = frame.contentDocument, out = [];
    for (const element of root.body.querySelectorAll('*')) {
      if (element.closest('.scroll, pre, .skip, svg, .prose table')) continue;
      const box = element.getBoundingClientRect();
      if (box.width > 0 && box.right > width + 0.5) out.push(element.tagName + '.' + element.className);
    }
    const fetched = frame.contentWindow.performance.getEntriesByType('resource').length;
    const pictures = root.querySelectorAll('svg.plot').length;
    const place = name => root.querySelector(name).getBoundingClientRect();
    const ordered = width >= 1280 || place('#contents').top >= place('main').bottom;
    const paper = frame.contentWindow.getComputedStyle(root.body).backgroundColor;
    const dark = Math.max(...paper.match(/\d+/g).map(Number)) < 128;
    lines.push(`${page} ${width} overflow=[${out.slice(0, 3)}] fetched=${fetched} pictures=${pictures > 0} elements=${root.body.querySelectorAll('*').length > 50} ordered=${ordered} dark=${dark}`);
    frame.remove();
  }
  document.getElementById('out').textContent = lines.join('\n');
})();
</script>"#;

/// Clicks a column head of the runs table twice and activates another one with the keyboard; writes
/// one line with the values in each order.
const CLICKS: &str = r#"<!doctype html><body><pre id="out"></pre><script>
const frame = document.createElement('iframe');
frame.width = 1200; frame.height = 800; frame.src = 'grid/index.html';
frame.onload = () => {
  const table = frame.contentDocument.querySelector('#all-runs table');
  const heads = [...table.tHead.rows[0].cells];
  const lines = [];
  const column = (order, head) => {
    const texts = [...table.tBodies[0].rows].map(row => row.cells[head.cellIndex].textContent.trim());
    lines.push(`order=${order} state=${head.ariaSort} values=${texts.join(' ')}`);
  };
  const loss = heads.find(head => head.textContent === 'val_loss'), size = heads.find(head => head.textContent === 'Parameters');
  column('written', loss);
  loss.click(); column('up', loss);
  loss.click(); column('down', loss);
  size.focus();
  size.dispatchEvent(new frame.contentWindow.KeyboardEvent('keydown', {key: 'Enter', bubbles: true}));
  column('keyboard', size);
  document.getElementById('out').textContent = lines.join('\n');
};
document.body.append(frame);
</script>"#;

/// Clicking a column head sorts the runs table by that column, first ascending, then descending.
fn sorts(browser: &Path, folder: &Path) {
    let page = folder.join("clicks.html");
    std::fs::write(&page, CLICKS).unwrap();
    let output = run(browser, folder)
        .args([
            "--allow-file-access-from-files",
            "--virtual-time-budget=20000",
            "--dump-dom",
        ])
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let values = |order: &str| -> (String, Vec<f64>) {
        let start = format!("order={order} state=");
        let line = dom
            .lines()
            .find_map(|line| line.split_once(&start))
            .unwrap_or_else(|| panic!("no {order}: {dom}"));
        let (state, values) = line.1.split_once(" values=").unwrap();
        let values = values.split('<').next().unwrap_or_default().split(' ');
        let values = values.map(|value| value.replace(',', "").parse().unwrap());
        (state.to_owned(), values.collect())
    };
    let (written, up, down) = (values("written"), values("up"), values("down"));
    let runs = fixture::grid(1).results.runs.len();
    assert_eq!(
        (written.1.len(), up.1.len(), down.1.len()),
        (runs, runs, runs)
    );
    assert!(!written.1.is_sorted(), "{written:?}");
    assert!(up.1.is_sorted() && up.0 == "ascending", "{up:?}");
    assert!(
        down.1.is_sorted_by(|a, b| a >= b) && down.0 == "descending",
        "{down:?}"
    );
    let keyboard = values("keyboard");
    assert!(
        keyboard.1.is_sorted() && keyboard.0 == "ascending",
        "{keyboard:?}"
    );
}

#[test]
fn pages_hold_in_a_browser() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium in PATH");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut pages = Vec::new();
    for (name, fixture) in [("three", fixture::three_runs()), ("grid", fixture::grid(1))] {
        put(&folder.path().join(name), &files(&fixture));
        pages.push(format!("{name}/index.html"));
    }
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    for entry in std::fs::read_dir(committed).unwrap() {
        let path = entry.unwrap().path();
        let page = path.join("index.html");
        if page.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap();
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::copy(&page, folder.path().join(name).join("index.html")).unwrap();
            pages.push(format!("{name}/index.html"));
        }
    }
    pages.sort();
    assert_eq!(pages.len(), 9, "{pages:?}");
    let probe = folder.path().join("probe.html");
    let list = serde_json::to_string(&pages).unwrap();
    std::fs::write(&probe, PROBE.replace("PAGES", &list)).unwrap();
    // Blink encodes the dark scheme as 0 and the light one as 1.
    for (scheme, is_dark) in [(1, false), (0, true)] {
        let output = run(&browser, folder.path())
            .args([
                "--allow-file-access-from-files",
                "--enable-logging=stderr",
                "--virtual-time-budget=60000",
                "--dump-dom",
            ])
            .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
            .arg(format!("file://{}", probe.display()))
            .output()
            .unwrap();
        let dom = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = dom
            .lines()
            .filter(|line| line.contains("overflow=") && !line.contains("${"))
            .collect();
        assert_eq!(lines.len(), 4 * pages.len(), "{dom}");
        let expected = format!(
            "overflow=[] fetched=0 pictures=true elements=true ordered=true dark={is_dark}"
        );
        for line in lines {
            assert!(line.contains(&expected), "{line}");
        }
        let log = String::from_utf8_lossy(&output.stderr);
        let messages: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .collect();
        assert!(messages.is_empty(), "{messages:?}");
    }
    sorts(&browser, folder.path());
    prints(&browser, folder.path());
}

/// A page prints to a PDF.
fn prints(browser: &Path, folder: &Path) {
    let pdf = folder.join("three.pdf");
    let output = run(browser, folder)
        .arg("--no-pdf-header-footer")
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!(
            "file://{}",
            folder.join("three/index.html").display()
        ))
        .output()
        .unwrap();
    let bytes = std::fs::read(&pdf).unwrap_or_default();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(bytes.starts_with(b"%PDF-"), "{log}");
}

/// A headless browser with its own profile.
fn run(browser: &Path, folder: &Path) -> Command {
    let mut command = Command::new(browser);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ));
    command
}
