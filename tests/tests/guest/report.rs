//! A run as a page: what it tells, that no text of a guest is more than text, and that a browser
//! shows it on every screen without asking anybody for anything.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use rookery_tests::browser::{Browser, Screen};
use rookery_tests::{doctor, places};

/// A text that would be markup, a script, a terminal's command, or a reversed line.
const HOSTILE: &str = "</script><script>document.title='owned'</script><img src=//evil.example/x \
                       onerror=alert(1)>\u{1b}[2J\u{202e}gpj.exe\u{0}'\"`";

fn rookery(home: &Path, args: &[&str]) -> Result<Output> {
    let output = Command::new(places::dist().join("rookery"))
        .args(args)
        .current_dir(home)
        .env("HOME", home)
        .env("ROOKERY_STATE_DIR", home.join("state"))
        .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
        .output()?;
    Ok(output)
}

/// A page as a reader sees its text.
fn read(page: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(page.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

fn done(home: &Path, args: &[&str]) -> Result<String> {
    let output = rookery(home, args)?;
    ensure!(output.status.success(), "{args:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The demo's firmware, run twice: before and after its fixes.
fn demo(home: &Path) -> Result<PathBuf> {
    std::fs::copy(places::demo_rootfs(), home.join("router.tar.gz"))?;
    done(home, &["init", "router.tar.gz"])?;
    done(home, &["run", "router", "--timeout", "3"])?;
    let patch = "env:\n  board_id: rook-1\npseudofiles:\n  /dev/panel:\n    read:\n      \
                 model: const_buf\n      val: \"ready\\n\"\n";
    std::fs::write(home.join("router/patch_90_mcp.yaml"), patch)?;
    done(home, &["run", "router", "--timeout", "5"])?;
    Ok(home.join("router"))
}

fn a_run_becomes_a_page_that_says_what_answers_and_what_changed() -> Result<()> {
    doctor::needs_emulator()?;
    let home = tempfile::tempdir()?;
    let project = demo(home.path())?;
    let before = read(&done(
        home.path(),
        &["report", "router", "--run", "0", "-o", "-"],
    )?);
    for words in [
        "No service came up",
        "/dev/panel",
        "rookery run ",
        "rcS: hardware is not complete",
    ] {
        ensure!(before.contains(words), "{words}: {before}");
    }
    let said = done(home.path(), &["report", "router"])?;
    let page = project.canonicalize()?.join("results/1/report.html");
    assert_eq!(said.trim(), page.to_str().context("a path")?);
    let after = read(&std::fs::read_to_string(&page)?);
    for words in [
        "It answers: tcp 80 says HTTP 200.",
        "better than the run before",
        "board_id",
        "<div class=\"plus\">port <span class=\"guest\">80",
        "still running",
    ] {
        ensure!(after.contains(words), "{words}: {after}");
    }
    Ok(())
}

/// A result directory whose every name and text is hostile, and which has too much of everything.
fn hostile(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let write = |name: &str, text: String| std::fs::write(dir.join(name), text);
    let quoted = serde_json::to_string(HOSTILE)?;
    write(".ran", String::new())?;
    write("score.txt", "1.00\n".into())?;
    write(
        "console.log",
        format!("{HOSTILE}\n{}\n", "x".repeat(5000)).repeat(500),
    )?;
    write(
        "console_times.csv",
        format!("line,time_ms\n1,5\n9,{}\n", i64::MAX),
    )?;
    let record = format!(
        "{{\"run_id\": {quoted}, \"reason\": {quoted}, \"arch\": {quoted}, \"guest_s\": 1e300, \
         \"notes\": [{quoted}]}}"
    );
    write("rookery_run.json", record)?;
    let named = HOSTILE.replace(['\0', ',', '\n'], " ");
    let bind = |port: u16| format!("{named},ipv4,tcp,0.0.0.0,{port},7,0.5,listening,\n");
    let header = "procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n";
    let binds: String = (1..=500).map(bind).collect();
    write("netbinds.csv", format!("{header}{binds}"))?;
    let answer = |port: u16| {
        format!(
            "- {{\"procname\": {quoted}, \"proto\": \"tcp\", \"guest_ip\": \"0.0.0.0\", \
             \"guest_port\": {port}, \"answers\": {{\"at_end\": {{\"kind\": \"http\", \
             \"status\": 200, \"title\": {quoted}, \"redirect\": \"javascript:alert(1)\"}}}}}}\n"
        )
    };
    let answers: String = (1..=500).map(answer).collect();
    write("service_answers.yaml", format!("services:\n{answers}"))?;
    let device = |n: usize| {
        format!("{quoted}{n}: ")
            .replacen("\\u0000", "", 1)
            .replace(&format!("\"{n}: "), &format!(" {n}\": "))
            + &format!(
                "{{\"callers\": [{quoted}], \"events\": {{{quoted}: {{\"count\": 3}}}}, \
                 \"impact\": {{\"hits\": 9}}}}\n"
            )
    };
    write("pseudofiles_failures.yaml", (0..300).map(device).collect())?;
    write("env_missing.yaml", format!("- {quoted}\n").repeat(300))?;
    database(&dir.join("plugins.db"))
}

/// A thousand processes, each the child of the one before, and many more beside each other.
fn database(file: &Path) -> Result<()> {
    let mut database = rusqlite::Connection::open(file)?;
    let all = database.transaction()?;
    all.execute_batch(
        "CREATE TABLE event (id INTEGER, type TEXT, procname TEXT, proc_id INTEGER, \
         time_ms INTEGER);
         CREATE TABLE exec (id INTEGER, argv TEXT);
         CREATE TABLE proc_start (id INTEGER, pid INTEGER, ppid INTEGER, comm TEXT);
         CREATE TABLE proc_exit (id INTEGER, pid INTEGER, code INTEGER, reason TEXT);",
    )?;
    for n in 0..5000_i64 {
        let (pid, parent) = (n + 1, if n < 1000 { n } else { 1 });
        let argv = format!("['/bin/{n}', \"{}\"]", HOSTILE.replace('"', ""));
        let event = "INSERT INTO event VALUES (?1, 'x', ?2, ?3, ?4)";
        all.execute(event, (2 * n, HOSTILE, pid, n))?;
        all.execute(event, (2 * n + 1, HOSTILE, pid, n))?;
        let start = "INSERT INTO proc_start VALUES (?1, ?2, ?3, ?4)";
        all.execute(start, (2 * n, pid, parent, HOSTILE))?;
        all.execute("INSERT INTO exec VALUES (?1, ?2)", (2 * n + 1, argv))?;
    }
    all.commit()?;
    Ok(())
}

fn text_of_a_guest_is_text_in_a_page_and_too_much_of_it_is_counted() -> Result<()> {
    let home = tempfile::tempdir()?;
    hostile(&home.path().join("results"))?;
    let page = done(home.path(), &["report", "results", "-o", "-"])?;
    for markup in ["<script", "<img", "onerror=alert(1)>"] {
        ensure!(!page.contains(markup), "{markup} is in the page");
    }
    ensure!(
        page.contains("&lt;&#x2f;script&gt;&lt;script&gt;"),
        "{page}"
    );
    let hidden = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
    ensure!(!page.contains(hidden), "something is hidden");
    for words in [
        r"\u{1b}[2J",
        r"\u{202e}gpj.exe",
        "460 more:",
        "<code>plugins.db</code> has all",
    ] {
        ensure!(page.contains(words), "{words}");
    }
    ensure!(page.len() < 1 << 20, "{} bytes", page.len());
    Ok(())
}

fn an_empty_result_directory_is_a_page_too() -> Result<()> {
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("results"))?;
    let page = done(home.path(), &["report", "results", "-o", "page.html"])?;
    let page = std::fs::read_to_string(page.trim())?;
    ensure!(page.contains("Nothing ran."), "{page}");
    Ok(())
}

/// Phone, tablet and desktop.
const SCREENS: [(u32, u32); 3] = [(360, 740), (800, 1100), (1280, 900)];

fn a_browser_shows_the_page_on_every_screen_without_a_script_or_a_request() -> Result<()> {
    let mut browser = Browser::start()?;
    doctor::needs_emulator()?;
    let home = tempfile::tempdir()?;
    demo(home.path())?;
    hostile(&home.path().join("hostile"))?;
    let pages = [
        ("before", &["router", "--run", "0"][..]),
        ("after", &["router"]),
        ("hostile", &["hostile"]),
    ];
    for (name, arguments) in pages {
        let file = home.path().join(format!("{name}.html"));
        let output = file.to_str().context("a path")?;
        done(
            home.path(),
            &[&["report", "-o", output], arguments].concat(),
        )?;
        for (width, height) in SCREENS {
            for dark in [false, true] {
                let screen = Screen {
                    width,
                    height,
                    dark,
                };
                let opened = browser.open(&file, screen)?;
                let what = format!("{name} at {screen:?}: {opened:?}");
                assert_eq!(opened.width, u64::from(width), "{what}");
                assert_eq!(opened.requests, [format!("file://{output}")], "{what}");
                assert_eq!(opened.scripts, 0, "{what}");
                assert_eq!(opened.complaints, [""; 0], "{what}");
                let all = opened.height < 5000;
                keep_picture(&mut browser, &format!("{name}-{width}-{dark}"), all)?;
            }
        }
        // Asked only now, because this is a script of its own.
        let title = browser.evaluate("document.title")?;
        ensure!(title != "owned", "a script of the guest's has run");
        let links = browser.evaluate("document.querySelectorAll('[href],[src],script').length")?;
        assert_eq!(links, 0, "the page leads nowhere");
        let tree = "document.querySelector('.tree li').checkVisibility()";
        assert_eq!(browser.evaluate(tree)?, false, "it is folded on a screen");
        browser.put_on_paper()?;
        assert_eq!(browser.evaluate(tree)?, true, "and not on paper");
        keep_picture(&mut browser, &format!("{name}-paper"), name != "hostile")?;
    }
    Ok(())
}

/// Where `ROOKERY_PICTURES` names a directory, it gets what was seen.
fn keep_picture(browser: &mut Browser, name: &str, all: bool) -> Result<()> {
    if let Some(dir) = std::env::var_os("ROOKERY_PICTURES") {
        std::fs::write(
            Path::new(&dir).join(format!("{name}.png")),
            browser.picture(all)?,
        )?;
    }
    Ok(())
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        a_run_becomes_a_page_that_says_what_answers_and_what_changed,
        text_of_a_guest_is_text_in_a_page_and_too_much_of_it_is_counted,
        an_empty_result_directory_is_a_page_too,
        a_browser_shows_the_page_on_every_screen_without_a_script_or_a_request,
    ]
}
