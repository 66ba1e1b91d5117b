//! `plugins.db` of a case: the tables of a run, and what the case puts into them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rookery_contract::penguin::DATABASE_TABLES;
use rusqlite::limits::Limit;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// So long the statements of a case may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so many steps of the database's machine the time is looked at.
const STEPS: i32 = 100_000;

/// Make `file` of `plugins.sql` and `tables/*.csv` in the case's folder.
pub(super) fn make(folder: &Path, file: &Path) -> anyhow::Result<()> {
    let mut connection = Connection::open(file)?;
    // A case reaches no file but this one.
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    // As in a run's, whose rows need not come in order.
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    let begun = Instant::now();
    connection.progress_handler(STEPS, Some(move || begun.elapsed() > PATIENCE))?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(DATABASE_TABLES)?;
    let sql = folder.join("plugins.sql");
    if sql.exists() {
        let text = fs::read_to_string(&sql)?;
        transaction
            .execute_batch(&text)
            .with_context(|| format!("in {}", sql.display()))?;
    }
    let tables = folder.join("tables");
    if tables.exists() {
        for entry in fs::read_dir(&tables)? {
            let path = entry?.path();
            fill(&transaction, &path).with_context(|| format!("in {}", path.display()))?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Put the rows of `TABLE.csv` into its table, which is made where runs have none of this name.
fn fill(connection: &Connection, file: &Path) -> anyhow::Result<()> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let is_csv = file.extension().is_some_and(|extension| extension == "csv");
    ensure!(is_csv, "a table is a file TABLE.csv");
    let mut reader = csv::Reader::from_path(file)?;
    let columns: Vec<String> = reader.headers()?.iter().map(quoted).collect();
    let (table, columns_text) = (quoted(&name), columns.join(", "));
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {table} ({columns_text})"
    ))?;
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert = connection.prepare(&format!(
        "INSERT INTO {table} ({columns_text}) VALUES ({places})"
    ))?;
    for row in reader.records() {
        insert.execute(params_from_iter(row?.iter().map(value)))?;
    }
    Ok(())
}

/// An empty field is no value, and digits are a number: a table of a run has its own types.
fn value(field: &str) -> Value {
    match field.parse() {
        Ok(number) => Value::Integer(number),
        Err(_) if field.is_empty() => Value::Null,
        Err(_) => Value::Text(field.to_owned()),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(files: &[(&str, &str)]) -> anyhow::Result<Connection> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("tables"))?;
        for (path, text) in files {
            fs::write(dir.path().join(path), text)?;
        }
        let file = dir.path().join("plugins.db");
        make(dir.path(), &file)?;
        Ok(Connection::open(file)?)
    }

    fn number(database: &Connection, query: &str) -> i64 {
        database
            .query_row(query, (), |row| row.get(0))
            .expect("a number")
    }

    #[test]
    fn a_database_has_the_tables_of_a_run_and_the_rows_of_the_case() {
        let sql = "INSERT INTO event VALUES (1, 'syscall', 'httpd', 7, 250);
                   INSERT INTO syscall (id, name, retno) VALUES (1, 'sys_openat', -2);";
        let database = made(&[
            ("plugins.sql", sql),
            (
                "tables/event.csv",
                "id,type,procname,proc_id,time_ms\n2,exec,\"a, b\",8,\n",
            ),
            ("tables/mine.csv", "n,text\n5,x\n"),
        ]);
        let database = database.expect("a database");
        let query = "SELECT retno FROM syscall JOIN event USING (id) WHERE procname = 'httpd'";
        assert_eq!(number(&database, query), -2);
        assert_eq!(
            number(
                &database,
                "SELECT count(*) FROM event WHERE time_ms IS NULL"
            ),
            1
        );
        assert_eq!(number(&database, "SELECT n + 1 FROM mine"), 6);
    }

    #[test]
    fn statements_reach_no_other_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let other = dir.path().join("other.db");
        let sql = format!(
            "ATTACH '{}' AS other; CREATE TABLE other.t (x);",
            other.display()
        );
        assert!(made(&[("plugins.sql", &sql)]).is_err());
        assert!(!other.exists());
    }

    #[test]
    fn a_wrong_statement_names_its_file() {
        let error = made(&[("plugins.sql", "INSERT INTO nothing VALUES (1);")]);
        let error = format!("{:#}", error.expect_err("no such table"));
        assert!(
            error.contains("plugins.sql") && error.contains("nothing"),
            "{error}"
        );
    }
}
