//! A node in a story: a reconciler on a simulated clock, a data plane that outlives it, and the
//! objects of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proxy_core::memory::MemoryBackend;
use proxy_core::reconciler::{Outcome, Reconciler, Schedule, Step as Did};
use proxy_core::{
    Capabilities, Delta, DesiredState, Event, Family, FrontendKind, Model, Protocol, Report,
    Resolution,
};

use super::objects::{NODE, Objects, Taken};
use super::show;
use super::step::{Control, Lack, Step};

pub(crate) struct World {
    objects: Objects,
    reconciler: Option<Reconciler<MemoryBackend>>,
    began: Instant,
    now: Instant,
    conflicts: BTreeSet<String>,
    text: String,
}

impl Default for World {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            objects: Objects::default(),
            reconciler: None,
            began: now,
            now,
            conflicts: BTreeSet::new(),
            text: String::new(),
        }
    }
}

impl World {
    /// Everything a step says, in the order of `scenarios/README.md`.
    pub(crate) fn play(&mut self, name: &str, step: Step) {
        let Step { control, objects } = step;
        self.say(format_args!("== {name}"));
        let mut events = Vec::new();
        for object in &objects {
            let Taken { events: taken, rejections, warnings } = self.objects.take(object);
            events.extend(taken);
            for rejection in rejections {
                self.say(format_args!("rejected {rejection}"));
            }
            for warning in warnings {
                self.say(format_args!("warning {warning}"));
            }
        }
        for text in &control.delete {
            events.extend(self.objects.delete(text));
        }
        match self.reconciler.take() {
            None => self.start(MemoryBackend::new(capabilities(&control))),
            Some(reconciler) if control.restart => {
                let mut backend = reconciler.into_backend();
                backend.restart();
                self.start(backend);
            }
            Some(mut reconciler) => {
                for event in events {
                    reconciler.handle(event, self.now);
                }
                self.reconciler = Some(reconciler);
            }
        }
        self.befall(&control);
        self.run(Duration::from_millis(control.run_milliseconds));
        self.say_conflicts();
        self.text.push('\n');
    }

    /// What the story says, with the state at its end.
    pub(crate) fn end(mut self) -> String {
        let reconciler = self.reconciler.take().expect("a story has a step");
        self.text.push_str(&show::end(&reconciler));
        self.text
    }

    /// A process starts: it is told of every object.
    fn start(&mut self, backend: MemoryBackend) {
        let mut reconciler = Reconciler::new(backend, Model::new(NODE), Schedule::default());
        for event in self.objects.all().collect::<Vec<Event>>() {
            reconciler.handle(event, self.now);
        }
        reconciler.start();
        self.reconciler = Some(reconciler);
    }

    fn befall(&mut self, control: &Control) {
        let reconciler = self.reconciler.as_mut().expect("it is started");
        let backend = reconciler.backend_mut();
        if control.accept_all {
            backend.accept_all();
        }
        control.faults().for_each(|fault| backend.fail(fault));
        control.refused().for_each(|key| backend.refuse(key));
        for key in control.tampered() {
            backend.tamper(|servers| {
                servers.remove(&key).expect("what is tampered with is there");
            });
        }
        if control.resync {
            reconciler.request_resync();
        }
    }

    /// Does what is due until the time is over, each thing at its time.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut reconciler = self.reconciler.take().expect("it is started");
        while let Some(next) = reconciler.next(self.now).filter(|next| *next <= end) {
            self.now = self.now.max(next);
            let before = served(reconciler.backend());
            let did = reconciler.step(self.now);
            let changed = Delta::between(&before, &served(reconciler.backend()));
            self.say_step(&did, &changed);
        }
        self.now = end;
        self.reconciler = Some(reconciler);
    }

    fn say_step(&mut self, did: &Did, changed: &Delta) {
        let at = show::seconds(self.now.duration_since(self.began));
        match &did.outcome {
            Outcome::Idle | Outcome::Maintained(_) => {}
            Outcome::Applied { delta, report } => {
                self.say_done(&format!("{at} applied"), delta, report);
            }
            Outcome::Resynced(report) => {
                self.say_done(&format!("{at} resynced"), changed, report);
            }
            Outcome::Audited { report, .. } => {
                self.say_done(&format!("{at} audited"), changed, report);
            }
            Outcome::Failed(error) => self.say(format_args!("{at} failed to {error}")),
        }
        for parked in &did.parked {
            let (server, service) = (parked.server, &parked.service);
            self.say(format_args!(
                "  parked {server} of {service}: not supported: {}",
                parked.feature
            ));
        }
    }

    fn say_done(&mut self, what: &str, delta: &Delta, report: &Report) {
        self.say(format_args!("{what}, {}", show::changes(report)));
        self.text.push_str(&show::delta(delta));
        self.text.push_str(&show::report(report));
    }

    /// Conflicts that began or ended with this step.
    fn say_conflicts(&mut self) {
        let reconciler = self.reconciler.as_ref().expect("it is started");
        let now: BTreeSet<_> =
            reconciler.desired().conflicts().map(|conflict| conflict.to_string()).collect();
        let before = std::mem::replace(&mut self.conflicts, now.clone());
        for conflict in now.difference(&before) {
            self.say(format_args!("conflict {conflict}"));
        }
        for conflict in before.difference(&now) {
            self.say(format_args!("settled {conflict}"));
        }
    }

    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes all");
    }
}

/// What the data plane serves.
fn served(backend: &MemoryBackend) -> DesiredState {
    let mut state = DesiredState::new();
    let mut of_service = BTreeMap::<_, Vec<_>>::new();
    for server in backend.servers().values() {
        of_service.entry(server.origin.service.clone()).or_default().push(server.clone());
    }
    for (service, servers) in of_service {
        let resolution = Resolution { servers, ..Default::default() };
        let _ = state.replace(&service, resolution);
    }
    state
}

fn capabilities(control: &Control) -> Capabilities {
    let mut all = Capabilities::all();
    for lack in &control.without {
        match lack {
            Lack::NodePorts => all.frontends.retain(|kind| *kind != FrontendKind::NodePort),
            Lack::SplitAudiences => all.split_audiences = false,
            Lack::SourceRanges => all.source_ranges = false,
            Lack::SessionAffinity => all.session_affinity = false,
            Lack::Sctp => all.protocols.retain(|protocol| *protocol != Protocol::Sctp),
            Lack::IPv6 => all.families.retain(|family| *family != Family::Ipv6),
        }
    }
    all
}
