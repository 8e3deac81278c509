use std::fs;
use std::os::unix::fs::symlink;

use proxy_core::Event;

use super::super::testing::Scratch;
use super::{Changes, Parser, Reader};
use crate::config::ExternalIps;

/// A Service with a port.
fn service(name: &str, port: u16) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{clusterIP: 10.96.0.9, ports: [{{port: {port}}}]}}\n"
    )
}

const SLICE: &str = "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.1.0.1]}]
";

const NODE: &str = "---\nkind: Node\nmetadata: {name: n1}\n";

struct Case {
    directory: Scratch,
    reader: Reader,
}

impl Case {
    fn new() -> Self {
        let directory = Scratch::new();
        let reader = Reader::new(directory.path(), Parser::new(ExternalIps::Serve));
        Self { directory, reader }
    }

    /// Reads, and checks the events as `+Service default/web:80`, `-Node n1`.
    #[track_caller]
    fn check(&mut self, expected: &[&str]) -> Changes {
        let changes = self.reader.read();
        let shown: Vec<_> = changes.events.iter().map(show).collect();
        assert_eq!(shown, expected);
        changes
    }
}

fn show(event: &Event) -> String {
    match event {
        Event::Service(service) => {
            let ports: Vec<_> = service.ports.iter().map(|port| port.port.to_string()).collect();
            format!("+Service {}:{}", service.key, ports.join(","))
        }
        Event::ServiceRemoved(key) => format!("-Service {key}"),
        Event::Slice(slice) => format!("+EndpointSlice {}", slice.key),
        Event::SliceRemoved(key) => format!("-EndpointSlice {key}"),
        Event::Node(node) => format!("+Node {}", node.name),
        Event::NodeRemoved(name) => format!("-Node {name}"),
        Event::NodePortAddresses(_) => "node port addresses".to_owned(),
    }
}

impl Changes {
    /// Nothing new is wrong, nothing was solved.
    #[track_caller]
    fn silent(self) {
        assert_eq!(self.problems, []);
        assert_eq!(self.solved, []);
    }

    /// One new problem, which contains this.
    #[track_caller]
    fn problem(self, part: &str) {
        let [problem] = &*self.problems else { panic!("not one problem: {:#?}", self.problems) };
        assert!(problem.to_string().contains(part), "{problem} does not say {part:?}");
        assert_eq!(self.solved, []);
    }

    /// Nothing new is wrong, one problem is over.
    #[track_caller]
    fn solved(self) {
        assert_eq!(self.problems, []);
        assert_eq!(self.solved.len(), 1, "{:#?}", self.solved);
    }
}

#[test]
fn all_objects_come_once_and_services_last() {
    let mut case = Case::new();
    case.directory.write("a.yaml", service("web", 80) + SLICE);
    case.directory.write("b.yml", NODE);
    case.directory.write("c.json", r#"{"kind": "Node", "metadata": {"name": "n2"}}"#);
    let expected =
        ["+Node n2", "+Node n1", "+EndpointSlice default/web-1", "+Service default/web:80"];
    case.check(&expected).silent();
    case.check(&[]).silent();
}

#[test]
fn only_manifests_of_the_directory_itself_are_read() {
    let mut case = Case::new();
    for name in [".hidden.yaml", "notes.txt", "yaml", ".yaml", "a.yaml~", "a.YAML"] {
        case.directory.write(name, NODE);
    }
    fs::create_dir(case.directory.path().join("sub.yaml")).unwrap();
    case.check(&[]).silent();
}

#[test]
fn only_what_changed_is_told() {
    let mut case = Case::new();
    case.directory.write("a.yaml", service("web", 80) + &service("api", 81));
    case.check(&["+Service default/web:80", "+Service default/api:81"]).silent();
    case.directory.write("a.yaml", service("web", 90) + &service("api", 81));
    case.check(&["+Service default/web:90"]).silent();
    case.directory.write("a.yaml", service("web", 90));
    case.check(&["-Service default/api"]).silent();
    case.directory.write("a.yaml", format!("# the same\n{}", service("web", 90)));
    case.check(&[]).silent();
    case.directory.remove("a.yaml");
    case.check(&["-Service default/web"]).silent();
}

#[test]
fn a_file_renamed_over_is_read_anew() {
    let mut case = Case::new();
    case.directory.write("a.yaml", service("web", 80));
    case.check(&["+Service default/web:80"]).silent();
    case.directory.write_over("a.yaml", &service("web", 90));
    case.check(&["+Service default/web:90"]).silent();
    fs::rename(case.directory.path().join("a.yaml"), case.directory.path().join("b.yaml")).unwrap();
    case.check(&[]).silent();
}

#[test]
fn a_file_that_cannot_be_parsed_keeps_its_objects() {
    let mut case = Case::new();
    let whole = service("web", 80) + &service("api", 81);
    case.directory.write("a.yaml", &whole);
    case.check(&["+Service default/web:80", "+Service default/api:81"]).silent();
    case.directory.write("a.yaml", &whole[..whole.len() - 10]);
    case.check(&[]).problem("a.yaml: line 10, column 38: cannot be parsed (unclosed bracket");
    case.check(&[]).silent();
    case.directory.write("b.yaml", NODE);
    case.check(&["+Node n1"]).silent();
    case.directory.write("a.yaml", service("web", 90));
    case.check(&["+Service default/web:90", "-Service default/api"]).solved();
}

#[test]
fn a_file_without_objects_before_says_so_in_its_own_words() {
    let mut case = Case::new();
    case.directory.write("a.yaml", "kind: [");
    let changes = case.check(&[]);
    assert!(!changes.problems[0].reason.contains("last good"), "{:?}", changes.problems);
    case.directory.remove("a.yaml");
    case.check(&[]).solved();
    case.directory.write("a.yaml", [0xff, 0xfe]);
    case.check(&[]).problem("a.yaml: line 1, column 1: cannot be parsed (the file is not UTF-8");
}

#[test]
fn an_emptied_file_keeps_its_objects_until_it_is_deleted() {
    let mut case = Case::new();
    case.directory.write("a.yaml", service("web", 80));
    case.check(&["+Service default/web:80"]).silent();
    case.directory.write("a.yaml", " \n");
    case.check(&[]).problem("delete the file to remove its objects");
    case.directory.write("a.yaml", service("web", 80));
    case.check(&[]).solved();
    case.directory.write("a.yaml", "");
    case.check(&[]).problem("is empty");
    case.directory.remove("a.yaml");
    case.check(&["-Service default/web"]).solved();
    case.directory.write("b.yaml", "");
    case.check(&[]).silent();
}

#[test]
fn an_object_given_twice_must_be_the_same() {
    let mut case = Case::new();
    case.directory.write("a.yaml", service("web", 80));
    case.directory.write("b.yaml", service("web", 80));
    case.check(&["+Service default/web:80"]).silent();
    case.directory.write("b.yaml", service("web", 90));
    case.check(&[]).problem("Service default/web: \"a.yaml, b.yaml\" is given by several files");
    case.directory.remove("a.yaml");
    case.check(&["+Service default/web:90"]).solved();
}

#[test]
fn an_object_with_two_contents_from_the_start_is_not_used() {
    let mut case = Case::new();
    case.directory.write("a.yaml", service("web", 80) + &service("web", 90) + NODE);
    case.check(&["+Node n1"])
        .problem("is given twice in one file with different contents, so it is not used");
    case.directory.write("a.yaml", service("web", 80) + &service("web", 80) + NODE);
    case.check(&["+Service default/web:80"]).solved();
}

#[test]
fn an_object_that_cannot_be_used_keeps_its_last_good_version() {
    let mut case = Case::new();
    case.directory.write("a.yaml", service("web", 0));
    case.check(&[]).problem("Service default/web: spec.ports[0].port: \"0\" is not a port");
    case.directory.write("a.yaml", service("web", 80));
    case.check(&["+Service default/web:80"]).solved();
    case.directory.write("a.yaml", service("web", 0));
    case.check(&[]).problem("(its last good version stays)");
    case.directory.write("a.yaml", service("web", 80).replace("10.96.0.9", "None"));
    case.check(&["-Service default/web"]).solved();
}

#[test]
fn a_partial_rejection_is_told_beside_the_value() {
    let mut case = Case::new();
    let text = service("web", 80).replace("clusterIP", "externalIPs: [bogus], clusterIP");
    case.directory.write("a.yaml", text);
    case.check(&["+Service default/web:80"]).problem("spec.externalIPs[0]: \"bogus\" is not");
    assert_eq!(case.reader.problems().len(), 1);
}

#[test]
fn a_document_that_is_no_api_object_is_a_warning() {
    let mut case = Case::new();
    case.directory.write("kustomization.yaml", "resources: [a.yaml]\n");
    case.check(&[]).problem("kustomization.yaml: line 1: is no API object");
}

#[test]
fn a_mounted_config_map_is_followed_through_its_links() {
    let mut case = Case::new();
    let path = |name: &str| case.directory.path().join(name);
    for (version, port) in [("..v1", 80), ("..v2", 90)] {
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join("web.yaml"), service("web", port)).unwrap();
    }
    symlink("..v1", path("..data")).unwrap();
    symlink("..data/web.yaml", path("web.yaml")).unwrap();
    let (next, data) = (path("..data_tmp"), path("..data"));
    case.check(&["+Service default/web:80"]).silent();
    symlink("..v2", &next).unwrap();
    fs::rename(&next, &data).unwrap();
    case.check(&["+Service default/web:90"]).silent();
}

#[test]
fn a_link_to_nowhere_keeps_what_it_led_to() {
    let mut case = Case::new();
    case.directory.write("target", service("web", 80));
    symlink("target", case.directory.path().join("web.yaml")).unwrap();
    case.check(&["+Service default/web:80"]).silent();
    case.directory.remove("target");
    case.check(&[]).problem("web.yaml: cannot be read (No such file");
    case.directory.write("target", service("web", 80));
    case.check(&[]).solved();
}

#[test]
fn a_directory_that_cannot_be_read_keeps_everything() {
    let mut case = Case::new();
    case.directory.write("a.yaml", service("web", 80));
    case.check(&["+Service default/web:80"]).silent();
    let (here, away) = (case.directory.path(), case.directory.path().with_extension("away"));
    fs::rename(here, &away).unwrap();
    fs::write(here, "").unwrap();
    case.check(&[]).problem("cannot be read (Not a directory");
    case.check(&[]).silent();
    let here = case.directory.path();
    fs::remove_file(here).unwrap();
    fs::rename(&away, here).unwrap();
    case.check(&[]).solved();
}
