//! What is printed.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use crate::{
    admin::{doctor::Check, init},
    config::Config,
};

/// An answer: one line of JSON, or a text for people.
///
/// # Errors
/// Nobody reads.
pub fn answer(value: &Value, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{value}")
    } else {
        write!(out, "{}", readable(value, 0))
    }
}

/// What the doctor found, as the agent's says it; gives whether all is well.
///
/// # Errors
/// Nobody reads.
pub fn checks(checks: &[Check], json: bool) -> io::Result<bool> {
    let well = checks.iter().all(|check| check.ok);
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", json!({ "ok": well, "checks": checks }))?;
    } else {
        for Check { name, ok, message } in checks {
            let word = if *ok { "ok " } else { "BAD" };
            writeln!(out, "{word} {name:<15} {message}")?;
        }
    }
    Ok(well)
}

/// What `init` made, and what to do next.
///
/// # Errors
/// Nobody reads.
pub fn made(made: &init::Made, json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(made)?)?;
        return Ok(());
    }
    let init::Made {
        config,
        admin_user,
        admin_password,
        api_token,
        write_key,
    } = made;
    let (config, here) = (config.display(), Config::default().listen.http);
    writeln!(
        out,
        "A new server is in {config}. The secrets below are shown once:\n"
    )?;
    writeln!(out, "  sign in      {admin_user} / {admin_password}")?;
    writeln!(out, "  API token    {api_token}")?;
    writeln!(out, "  write key    {write_key}   (source \"Website\")\n")?;
    writeln!(out, "Next:")?;
    writeln!(out, "  trenza-server run --config {config}")?;
    writeln!(
        out,
        "  trenza-server agent invite --config {config} --touchpoint \"Shop\""
    )?;
    writeln!(
        out,
        "  <script async src=\"http://{here}/t.js\" data-write-key=\"{write_key}\"></script>"
    )?;
    writeln!(
        out,
        "  That line is for trying on this machine. A website needs https and a certificate that browsers trust: put yours in the\n  place of web.pem and web.key.pem, and its address into public.url of server.toml. Until then https is signed by ca.pem\n  beside it (curl --cacert), which browsers refuse."
    )?;
    Ok(())
}

/// An answer for people: `name  value` lines; lists with a blank line between.
fn readable(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let Value::Object(members) = value else {
        return format!("{pad}{}\n", plain(value));
    };
    let width = members
        .keys()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for (name, value) in members {
        let label = name.replace('_', " ");
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                out.push_str(
                    &items
                        .iter()
                        .map(|item| readable(item, indent))
                        .collect::<Vec<_>>()
                        .join("\n"),
                );
            }
            Value::Array(items) if indent == 0 && items.is_empty() && members.len() == 1 => {
                out.push_str(&format!("{pad}no {label}\n"))
            }
            value => out.push_str(&format!("{pad}{label:width$}  {}\n", plain(value))),
        }
    }
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
