//! The crate as tools see it: options come as JSON and answers leave as JSON, which the runtime
//! does in the program. So the promises of these tests are about what crosses the boundary.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::ops::Deref;
use std::path::PathBuf;

use rookery_contract::options;
use rookery_project::{Cancel, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// `null` stands for no options.
fn given<T: DeserializeOwned>(options: &Value) -> Result<T> {
    match options {
        Value::Null => options::parse("options", "{}"),
        options => options::parse("options", &options.to_string()),
    }
}

fn told(answer: impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

#[derive(Clone, Debug)]
pub struct Roots(rookery_project::Roots);

impl Roots {
    pub fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        rookery_project::Roots::new(dirs).map(Self)
    }
    pub fn project(&self, path: &str) -> Result<Project> {
        self.0.project(path).map(Project)
    }
    pub fn results(&self, project: Option<&str>, results_dir: Option<&str>) -> Result<Results> {
        self.0.results(project, results_dir).map(Results)
    }
    pub fn runs(&self, project: &str, options: &Value) -> Result<Value> {
        let runs = self.0.runs(project, &given(options)?, &Cancel::default());
        runs.map(told)
    }
    pub fn create(&self, rootfs: &str, output: &str, cancel: &Cancel) -> Result<Value> {
        self.0.create(rootfs, output, cancel).map(told)
    }
}

impl Deref for Roots {
    type Target = rookery_project::Roots;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[derive(Clone, Debug)]
pub struct Project(rookery_project::Project);

impl Project {
    pub fn at(dir: impl Into<PathBuf>) -> Result<Self> {
        rookery_project::Project::at(dir).map(Self)
    }
    pub fn firmware(&self, cancel: &Cancel) -> Result<Firmware> {
        self.0.firmware(cancel).map(Firmware)
    }
    pub fn effective(&self) -> Result<Value> {
        self.0.effective().map(told)
    }
    pub fn lookup(&self, path: &str) -> Result<Value> {
        self.0.lookup(path).map(told)
    }
    pub fn patch(&self) -> Result<Value> {
        self.0.patch().map(told)
    }
    #[expect(
        clippy::needless_pass_by_value,
        reason = "`json!` makes one where it is used"
    )]
    pub fn apply(&self, fragment: Value, options: &Value) -> Result<Value> {
        let change = self.0.apply(&fragment, &given(options)?)?;
        Ok(json!(change.told()))
    }
    pub fn set(&self, path: &str, value: &Value) -> Result<Value> {
        let change = self.0.set(path, value, &given(&Value::Null)?)?;
        Ok(json!(change.told()))
    }
    pub fn remove(&self, path: &str, options: &Value) -> Result<Value> {
        let change = self.0.remove(path, &given(options)?)?;
        Ok(json!(change.told()))
    }
    pub fn reset(&self, options: &Value) -> Result<Value> {
        let change = self.0.reset(&given(options)?)?;
        Ok(json!(change.told()))
    }
}

impl Deref for Project {
    type Target = rookery_project::Project;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[derive(Clone, Debug)]
pub struct Results(rookery_project::Results);

impl Results {
    pub fn status(&self) -> Result<Value> {
        self.0.status().map(told)
    }
    pub fn read_csv(&self, file: &str, options: &Value, cancel: &Cancel) -> Result<Value> {
        self.0.read_csv(file, &given(options)?, cancel).map(told)
    }
    pub fn search(
        &self,
        file: &str,
        pattern: &str,
        options: &Value,
        cancel: &Cancel,
    ) -> Result<Value> {
        let found = self.0.search(file, pattern, &given(options)?, cancel);
        found.map(told)
    }
    pub fn read_text(&self, file: &str, offset: i64, length: u32) -> Result<Value> {
        self.0.read_text(file, offset, length).map(told)
    }
    pub fn query(
        &self,
        sql: &str,
        params: &Value,
        options: &Value,
        cancel: &Cancel,
    ) -> Result<Value> {
        let rows = self.0.query(sql, params, &given(options)?, cancel);
        rows.map(told)
    }
}

impl Deref for Results {
    type Target = rookery_project::Results;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[derive(Clone, Debug)]
pub struct Firmware(rookery_project::Firmware);

impl Firmware {
    pub fn list_directory(&self, path: &str, options: &Value) -> Result<Value> {
        self.0.list_directory(path, &given(options)?).map(told)
    }
    pub fn stat(&self, path: &str) -> Result<Value> {
        self.0.stat(path).map(told)
    }
    pub fn search(&self, pattern: &str, options: &Value, cancel: &Cancel) -> Result<Value> {
        self.0.search(pattern, &given(options)?, cancel).map(told)
    }
    pub fn init_candidates(&self) -> Result<Value> {
        self.0.init_candidates().map(told)
    }
}

impl Deref for Firmware {
    type Target = rookery_project::Firmware;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
