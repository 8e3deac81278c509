//! Endpoints are ready, and yet nobody is served: `why` says what is wrong.

use std::process::Command;

use ::tests::lab::{Transport, proxyd, told};

use super::entrance::answered;
use crate::ask;
use crate::stage::{FRONTEND, FRONTEND_FILE, Stage};
use crate::verdict::{Failure, Shown, caught, require};

/// What `why` must find, for each family and each list of endpoints.
const REASON: &str = "no: its slice has no port of this name and protocol, but \"web\" TCP";

/// The exit status for a Service that a client does not reach.
const NOT_SERVED: i32 = 3;

pub(super) fn run(stage: &mut Stage) -> Shown {
    stage.publish(FRONTEND_FILE, "frontend-port-name.yaml");
    let found = caught(|| found(stage));
    // Whatever came of that, the next steps need the Service as it was.
    stage.publish(FRONTEND_FILE, "frontend-load-balancer.yaml");
    found?;
    let (text, status) = why(stage)?;
    require(status == Some(0), || format!("expected proxyd why to find nothing; got {text}"))?;
    let source = stage.first_node().gateway_for(ask::FRONTEND.ip());
    answered(stage, stage.caller(FRONTEND), ask::FRONTEND, source)?;
    Ok("the client is refused although a pod is ready; why names the reason, and once it is mended \
        all is well"
        .to_owned())
}

fn found(stage: &Stage) -> Result<(), Failure> {
    let call = (ask::FRONTEND, Transport::Tcp);
    stage.caller(FRONTEND).expect_refusal(stage.screen, call)?;
    let (text, status) = why(stage)?;
    let findings = findings(&text);
    let filter = "grep -oe '^Endp.*' -e 'no: .*' | head -4";
    let command = format!("proxyd why default/frontend-service $FLAGS | {filter}");
    stage.screen.command("node-1", &command);
    findings.iter().take(4).for_each(|line| stage.screen.output(line));
    let reasons = findings.iter().filter(|line| **line == REASON).count();
    require(status == Some(NOT_SERVED) && reasons == 4, || {
        format!(
            "expected proxyd why to say four times {REASON:?}; its status is {status:?}: {text}"
        )
    })
}

fn why(stage: &Stage) -> Result<(String, Option<i32>), Failure> {
    let node = stage.first_node();
    let output = Command::new("ip")
        .args(["netns", "exec", node.namespace.name()])
        .arg(proxyd())
        .args(["why", "default/frontend-service"])
        .args(told(&node.name, stage.manifests.path()))
        .output()
        .map_err(|error| format!("run proxyd why: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok((String::from_utf8_lossy(&text).into_owned(), output.status.code()))
}

/// How many endpoints of each list are used, and why the others are not.
fn findings(text: &str) -> Vec<&str> {
    let begin = |line: &str| line.find(if line.starts_with("Endp") { "Endp" } else { "no: " });
    text.lines().filter_map(|line| begin(line).map(|at| &line[at..])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_lists_and_reasons_are_found() {
        let text = "Service default/web on node n1\n\nPort http, TCP 80, IPv4\n\n\
            Endpoints of the cluster: 1 of 2 used\nfor all clients at ClusterIP 10.96.0.9:80\n\n\
            ENDPOINT  PORT  NODE  SLICE          USED\n\
            10.1.0.1  8080  n2    default/web-1  yes\n\
            10.1.0.2  8080  n1    default/web-1  no: it is not ready\n";
        assert_eq!(
            findings(text),
            ["Endpoints of the cluster: 1 of 2 used", "no: it is not ready"]
        );
        assert_eq!(findings(""), [""; 0]);
    }
}
