//! The load: wrk, with one thread.

use std::{fmt::Write, process::Command};

use anyhow::{Context, ensure};

use crate::workload::{Workload, host};

/// What came of a load.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Responses.
    pub(crate) requests: u64,
    /// Bytes of responses, of those that were cut off by the end too.
    pub(crate) bytes: u64,
}

/// Says what to install if wrk is missing.
pub(crate) fn check() -> anyhow::Result<()> {
    Command::new("wrk").arg("-v").output().context("wrk makes the load, and does not run: apt-get install wrk")?;
    Ok(())
}

/// Sends the requests of `workload` to `address` for `seconds`.
pub(crate) fn run(workload: &Workload, address: &str, seconds: u64) -> anyhow::Result<Done> {
    let script = tempfile::NamedTempFile::with_suffix(".lua")?;
    std::fs::write(script.path(), script_of(workload))?;
    let mut command = Command::new("wrk");
    command.args(["-t1", "--timeout", "20s", "-c", &workload.connections.to_string(), "-d", &format!("{seconds}s")]);
    command.arg("-s").arg(script.path()).arg(format!("http://{address}{}", workload.path));
    let output = command.output().context("wrk does not run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("done ")).with_context(|| format!("wrk said {text}"))?;
    let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let [requests, bytes, errors] = numbers[..] else { anyhow::bail!("wrk said {line}") };
    ensure!(errors == 0 && requests > 0, "{errors} errors beside {requests} responses");
    Ok(Done { requests, bytes })
}

fn script_of(workload: &Workload) -> String {
    let mut script = format!(
        "local fields = {{}}\nlocal body = {}\n",
        match workload.body {
            0 => "nil".to_owned(),
            length => format!("string.rep('x', {length})"),
        }
    );
    for field in workload.fields {
        let (name, value) = field.split_once(": ").expect("a field has a name");
        let _ = writeln!(script, "fields['{name}'] = [[{value}]]");
    }
    let _ = writeln!(
        script,
        "local requests = {{}}
init = function()
  for index = 0, {last} do
    fields['Host'] = string.gsub('{host}', '0', index, 1)
    requests[index + 1] = wrk.format({method}, '{path}', fields, body)
  end
end
request = function() return requests[math.random(#requests)] end
done = function(summary)
  local e = summary.errors
  io.write(string.format('done %d %d %d\\n', summary.requests, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout))
end",
        last = workload.setup.routes - 1,
        host = host(0),
        method = if workload.body > 0 { "'POST'" } else { "'GET'" },
        path = workload.path,
    );
    script
}
