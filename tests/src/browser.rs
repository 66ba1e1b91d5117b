//! A headless Chromium, driven over a pipe by its debugging protocol: what a page looks like,
//! what it asks for, and whether it runs anything.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use data_encoding::BASE64;
use rookery_harness::Skip;
use serde_json::{Value, json};

/// The protocol's pipe is descriptors 3 and 4, which a program has no safe way to give.
const START: &str = "exec chromium --headless --no-sandbox --disable-gpu --disable-quic \
                     --no-first-run --disable-background-networking --disable-component-update \
                     --disable-sync --hide-scrollbars --remote-debugging-pipe \
                     --user-data-dir=\"$1\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";

/// A browser with one page.
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: String,
    last: u64,
    /// What happened since the page was last opened.
    events: Vec<Value>,
    /// Its profile, new each time.
    _profile: tempfile::TempDir,
}

/// How a page is shown.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// In CSS pixels.
    pub width: u32,
    /// Also in CSS pixels.
    pub height: u32,
    /// Whether the reader prefers a dark page.
    pub dark: bool,
}

/// What a page did and how wide it is.
#[derive(Debug)]
pub struct Opened {
    /// Addresses that were asked for, the page's own too.
    pub requests: Vec<String>,
    /// Scripts that were parsed.
    pub scripts: usize,
    /// What its policy forbade, and other complaints.
    pub complaints: Vec<String>,
    /// The width of its contents.
    pub width: u64,
    /// Their height.
    pub height: u64,
}

impl Browser {
    /// Start it, or say why that cannot be done here.
    pub fn start() -> Result<Self> {
        let there = Command::new("chromium").arg("--version").output();
        if there.is_err() {
            let reason = "there is no chromium; `apt-get install chromium` brings it";
            return Err(Skip::elsewhere(reason).into());
        }
        let profile = tempfile::tempdir()?;
        let mut process = Command::new("sh")
            .args(["-c", START, "sh"])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = process.stdin.take().context("its input")?;
        let from = BufReader::new(process.stdout.take().context("its output")?);
        let mut browser = Self {
            process,
            to,
            from,
            session: String::new(),
            last: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let page = browser.ask("Target.createTarget", &json!({"url": "about:blank"}))?;
        let page = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", &page)?;
        browser.session = session["sessionId"].as_str().context("a session")?.into();
        for domain in ["Page", "Network", "Debugger", "Log"] {
            browser.ask(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(browser)
    }

    /// Show a file.
    pub fn open(&mut self, file: &Path, screen: Screen) -> Result<Opened> {
        let metrics = json!({
            "width": screen.width, "height": screen.height, "deviceScaleFactor": 1,
            "mobile": screen.width < 600
        });
        self.ask("Emulation.setDeviceMetricsOverride", &metrics)?;
        let scheme = if screen.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.ask("Emulation.setEmulatedMedia", &media)?;
        self.events.clear();
        let url = format!("file://{}", file.display());
        self.ask("Page.navigate", &json!({"url": url}))?;
        while !self.has("Page.loadEventFired") {
            let event = self.read()?;
            self.events.push(event);
        }
        let size = self.ask("Page.getLayoutMetrics", &json!({}))?["cssContentSize"].take();
        let texts = |method: &str, pointer: &str| -> Vec<String> {
            let of_kind = self.events.iter().filter(|event| event["method"] == method);
            let texts = of_kind.filter_map(|event| event.pointer(pointer)?.as_str());
            texts.map(str::to_owned).collect()
        };
        Ok(Opened {
            requests: texts("Network.requestWillBeSent", "/params/request/url"),
            scripts: texts("Debugger.scriptParsed", "/params/scriptId").len(),
            complaints: texts("Log.entryAdded", "/params/entry/text"),
            width: size["width"].as_u64().context("a width")?,
            height: size["height"].as_u64().context("a height")?,
        })
    }

    /// The page that is shown as a PNG: all of it, or what of it is on the screen.
    pub fn picture(&mut self, all: bool) -> Result<Vec<u8>> {
        let arguments = json!({"captureBeyondViewport": all});
        let picture = self.ask("Page.captureScreenshot", &arguments)?;
        Ok(BASE64.decode(picture["data"].as_str().context("a picture")?.as_bytes())?)
    }

    /// Show the page as it is printed.
    pub fn put_on_paper(&mut self) -> Result<()> {
        self.ask("Emulation.setEmulatedMedia", &json!({"media": "print"}))?;
        Ok(())
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let arguments = json!({"expression": expression, "returnByValue": true});
        Ok(self.ask("Runtime.evaluate", &arguments)?["result"]["value"].take())
    }

    fn has(&self, method: &str) -> bool {
        self.events.iter().any(|event| event["method"] == method)
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.to.write_all(message.to_string().as_bytes())?;
        self.to.write_all(b"\0")?;
        loop {
            let mut answer = self.read()?;
            if answer["id"] != self.last {
                self.events.push(answer);
            } else if answer["error"].is_null() {
                return Ok(answer["result"].take());
            } else {
                bail!("{method}: {}", answer["error"]);
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message)?;
        message.pop().context("the browser has ended")?;
        Ok(serde_json::from_slice(&message)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
