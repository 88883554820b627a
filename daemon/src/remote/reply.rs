//! What servers answer: events (`data: {json}` lines), one JSON value a line, or one JSON value. All of
//! it is untrusted: lines and the whole are bounded, and anything odd is an error in one line.

use std::io::{self, BufRead, BufReader, Read};

use serde_json::Value;

use crate::config::RemoteApi;

/// A server that sends more has lost its mind, or wants our memory.
pub(super) const MAX_REPLY_BYTES: u64 = 4 << 20;
const MAX_LINE_BYTES: u64 = 1 << 20;
const MAX_MESSAGE_CHARS: usize = 200;

/// What the server says of its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) n_prompt_tokens: usize,
    /// Its own end, not our limit of tokens.
    pub(super) is_end_of_text: bool,
}

/// Passes each piece of text to `on_text` until the end, or until that says false.
///
/// # Errors
/// What the server did wrong; one line for people.
pub(super) fn read(
    api: RemoteApi,
    content_type: &str,
    reply: impl Read,
    on_text: &mut dyn FnMut(&str) -> bool,
) -> Result<Usage, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut usage = Usage::default();
    let mut reply = BufReader::new(reply.take(MAX_REPLY_BYTES));
    let too_much = || Err(format!("it sent more than {} MiB", MAX_REPLY_BYTES >> 20));
    match kind.as_str() {
        "text/event-stream" => {
            for line in Lines(&mut reply) {
                let line = line?;
                let Some(data) = line.strip_prefix("data:") else { continue };
                let data = data.trim();
                if data == "[DONE]" {
                    return Ok(usage);
                }
                let value = serde_json::from_str(data).map_err(|err| no_json(data, &err))?;
                if !take(api, &value, &mut usage, on_text)? {
                    return Ok(usage);
                }
            }
            // Some end without a word.
            if reply.get_ref().limit() == 0 { too_much() } else { Ok(usage) }
        }
        "application/json" | "application/x-ndjson" | "application/jsonl" => {
            for value in serde_json::Deserializer::from_reader(&mut reply).into_iter::<Value>() {
                let value = value.map_err(|err| match err.io_error_kind() {
                    Some(kind) => broken(&io::Error::from(kind)),
                    None => no_json("", &err),
                })?;
                if !take(api, &value, &mut usage, on_text)? {
                    return Ok(usage);
                }
            }
            if reply.get_ref().limit() == 0 { too_much() } else { Ok(usage) }
        }
        other => Err(format!(
            "it answers with `{}`, which is no completion; does the URL name the API?",
            short(other)
        )),
    }
}

/// One value; false at the end.
fn take(
    api: RemoteApi,
    value: &Value,
    usage: &mut Usage,
    on_text: &mut dyn FnMut(&str) -> bool,
) -> Result<bool, String> {
    if let Some(message) = error(value) {
        return Err(format!("it says: {message}"));
    }
    let (text, is_last, n_prompt_tokens) = match api {
        RemoteApi::Openai => {
            let choice = &value["choices"][0];
            (&choice["text"], choice["finish_reason"].is_string(), &value["usage"]["prompt_tokens"])
        }
        RemoteApi::Ollama => {
            (&value["response"], value["done"] == true, &value["prompt_eval_count"])
        }
        RemoteApi::Llama | RemoteApi::LlamaInfill => {
            (&value["content"], value["stop"] == true, &value["tokens_evaluated"])
        }
    };
    let is_known =
        value.is_object() && (!text.is_null() || is_last || value.get("usage").is_some());
    if !is_known {
        return Err(format!("it sent something unexpected: {}", short(&value.to_string())));
    }
    if let Some(n) = n_prompt_tokens.as_u64() {
        usage.n_prompt_tokens = n as usize;
    }
    let is_wanted = text.as_str().is_none_or(|text| text.is_empty() || on_text(text));
    if is_last {
        let why = [&value["choices"][0]["finish_reason"], &value["done_reason"]];
        let is_length = why.iter().any(|why| **why == "length") || value["stop_type"] == "limit";
        usage.is_end_of_text = !is_length;
    }
    // Usage may come behind the last text; it is not worth waiting for.
    Ok(is_wanted && !is_last)
}

/// What a reply with an error's status says.
pub(super) fn message(reply: impl Read) -> String {
    let mut text = Vec::new();
    let _ = reply.take(4 << 10).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    error(&value).unwrap_or_else(|| short(text.trim()))
}

fn error(value: &Value) -> Option<String> {
    let error = value.get("error").filter(|error| !error.is_null())?;
    let text = error.as_str().or_else(|| error["message"].as_str());
    Some(short(text.unwrap_or(&error.to_string())))
}

fn no_json(data: &str, err: &serde_json::Error) -> String {
    format!("it sent no valid JSON ({err}): {}", short(data))
}

fn broken(err: &io::Error) -> String {
    format!("the connection broke: {err}")
}

/// One short line.
fn short(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((at, _)) => format!("{} ...", &line[..at]),
        None => line,
    }
}

struct Lines<R>(R);

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<String, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match self.0.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(n) if n as u64 == MAX_LINE_BYTES && line.last() != Some(&b'\n') => {
                Some(Err("it sent a line without an end".to_owned()))
            }
            Ok(_) => {
                let text = String::from_utf8(line).map_err(|_| "it sent no UTF-8".to_owned());
                Some(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            Err(err) => Some(Err(broken(&err))),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(api: RemoteApi, content_type: &str, reply: &str, expected: Expect) {
        let mut pieces = Vec::new();
        let result = read(api, content_type, reply.as_bytes(), &mut |text| {
            pieces.push(text.to_owned());
            true
        });
        expected.assert_eq(&format!("{pieces:?} {result:?}"));
    }

    #[test]
    fn each_kind_of_server_is_understood() {
        check(
            RemoteApi::Openai,
            "text/event-stream; charset=utf-8",
            ": comment\n\ndata: {\"choices\":[{\"text\":\"a\",\"finish_reason\":null}]}\r\n\r\n\
             event: x\ndata: {\"choices\":[{\"text\":\"b\"}]}\n\n\
             data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\ndata: [DONE]\n\ndata: junk\n",
            expect![[r#"["a", "b"] Ok(Usage { n_prompt_tokens: 7, is_end_of_text: false })"#]],
        );
        check(
            RemoteApi::Openai,
            "application/json",
            "{\"choices\":[{\"text\":\"whole\",\"finish_reason\":\"stop\"}],\n\"usage\":{\"prompt_tokens\":3}}",
            expect![[r#"["whole"] Ok(Usage { n_prompt_tokens: 3, is_end_of_text: true })"#]],
        );
        check(
            RemoteApi::Llama,
            "text/event-stream",
            "data: {\"content\":\"x\",\"stop\":false}\n\n\
             data: {\"content\":\"\",\"stop\":true,\"stop_type\":\"limit\",\"tokens_evaluated\":9}\n\n",
            expect![[r#"["x"] Ok(Usage { n_prompt_tokens: 9, is_end_of_text: false })"#]],
        );
        check(
            RemoteApi::Ollama,
            "application/x-ndjson",
            "{\"response\":\"x\",\"done\":false}\n{\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":5}\n",
            expect![[r#"["x"] Ok(Usage { n_prompt_tokens: 5, is_end_of_text: true })"#]],
        );
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let openai = |content_type, reply, expected| {
            check(RemoteApi::Openai, content_type, reply, expected);
        };
        openai(
            "text/html",
            "<html>",
            expect![[
                r#"[] Err("it answers with `text/html`, which is no completion; does the URL name the API?")"#
            ]],
        );
        openai(
            "text/event-stream",
            "data: {\"error\":{\"message\":\"no\\nsuch model\"}}\n",
            expect![[r#"[] Err("it says: no such model")"#]],
        );
        openai(
            "text/event-stream",
            "data: {\"choices\n",
            expect![[
                r#"[] Err("it sent no valid JSON (EOF while parsing a string at line 1 column 9): {\"choices")"#
            ]],
        );
        openai(
            "application/json",
            "[1,2]",
            expect![[r#"[] Err("it sent something unexpected: [1,2]")"#]],
        );
        let endless = "x".repeat(2 << 20);
        openai(
            "text/event-stream",
            &endless,
            expect![[r#"[] Err("it sent a line without an end")"#]],
        );
    }
}
