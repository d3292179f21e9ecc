//! Reports in a real browser, where one is installed: nothing overflows, nothing is fetched, the console stays empty.

use super::{files, fixture, put};
use std::path::PathBuf;
use std::process::Command;

/// A headless Chromium, by the names that systems give it.
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

/// Loads every page at four widths and writes one line for each: what stands out of the page, what was fetched.
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
    lines.push(`${page} ${width} overflow=[${out.slice(0, 3)}] fetched=${fetched} pictures=${pictures > 0} elements=${root.body.querySelectorAll('*').length > 50}`);
    frame.remove();
  }
  document.getElementById('out').textContent = lines.join('\n');
})();
</script>"#;

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
    let probe = folder.path().join("probe.html");
    let list = serde_json::to_string(&pages).unwrap();
    std::fs::write(&probe, PROBE.replace("PAGES", &list)).unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args([
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg("--dump-dom")
        .arg(format!("file://{}", probe.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = dom
        .lines()
        .filter(|line| line.contains("overflow=") && !line.contains("${"))
        .collect();
    assert_eq!(lines.len(), 8, "{dom}");
    for line in lines {
        assert!(
            line.contains("overflow=[] fetched=0 pictures=true elements=true"),
            "{line}"
        );
    }
    let log = String::from_utf8_lossy(&output.stderr);
    let messages: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(messages.is_empty(), "{messages:?}");
}
