//! Carries out ops: the only way to the kernel. What is observed changes only when the kernel
//! agreed; what "already there" and "not there" mean is decided here and nowhere else.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use proxy_core::{Failure, Feature, ObjectError, Scheduler, VirtualServerKey};

use crate::kernel::Kernel;
use crate::ledger::Ledger;
use crate::netlink::Errno;
use crate::netlink::ipset::{self, Entry, SetError};
use crate::netlink::ipvs;
use crate::netlink::route;
use crate::observe::Observed;
use crate::op::{Op, Step};
use crate::ownership;
use crate::rules::LEGACY_TABLE;
use crate::set::{Purpose, SetId};

/// What came of a list of ops.
#[derive(Debug, Default)]
pub struct Done {
    /// Ops the kernel acknowledged.
    pub changes: usize,
    /// What it refused.
    pub failed: Vec<Failure>,
    /// The refused ops, in the same order.
    pub refused: Vec<Step>,
    /// Ops that wait for a refused one, for the virtual server of that one.
    pub postponed: Vec<Step>,
}

/// Carries out lists of ops, one after the other. Once something failed for a virtual server,
/// nothing more is built up for it in this round.
#[derive(Debug, Default)]
pub struct Round {
    done: Done,
    broken: BTreeSet<VirtualServerKey>,
}

impl Round {
    /// Carries out `steps` in order, as many as possible in one send.
    ///
    /// # Errors
    /// When nothing can be said about single ops: answers were lost, or what should contain an
    /// object has vanished. Then read back everything.
    pub fn run(
        &mut self,
        kernel: &mut impl Kernel,
        steps: &[Step],
        ledger: &Ledger,
        observed: &mut Observed,
    ) -> io::Result<()> {
        let together = |one: &Step, two: &Step| {
            one.phase == two.phase && Client::of(&one.op) == Client::of(&two.op)
        };
        for group in steps.chunk_by(together) {
            let mut sound = Vec::with_capacity(group.len());
            for step in group.iter().filter(|step| !is_in_vain(step, &self.broken, ledger)) {
                match blocker(step, &self.done.refused) {
                    Some(Step { server, .. }) => {
                        self.done.postponed.push(Step { server: *server, ..step.clone() });
                    }
                    None => sound.push(step),
                }
            }
            let again = self.run_group(kernel, &sound, ledger, observed)?;
            let again: Vec<_> = again.iter().collect();
            self.run_group(kernel, &again, ledger, observed)?;
        }
        Ok(())
    }

    /// What came of all of it.
    #[must_use]
    pub fn end(self) -> Done {
        self.done
    }

    /// Carries out ops of one client. Returns ops to carry out instead of some that found something
    /// already there.
    fn run_group(
        &mut self,
        kernel: &mut impl Kernel,
        steps: &[&Step],
        ledger: &Ledger,
        observed: &mut Observed,
    ) -> io::Result<Vec<Step>> {
        let Self { done, broken } = self;
        let mut again = Vec::new();
        for (&step, answer) in steps.iter().zip(ask(kernel, steps, observed)?) {
            match judge(&step.op, answer) {
                Verdict::Done => {
                    observed.record(&step.op);
                    done.changes += 1;
                }
                Verdict::Instead(op) => again.push(Step { op, ..step.clone() }),
                Verdict::Lost => return Err(vanished(&step.op)),
                // The service was refused; its destinations could only follow.
                Verdict::Failed(_) if is_in_vain(step, broken, ledger) => {}
                Verdict::Failed(error) => {
                    broken.extend(step.server);
                    let object = step.op.to_string();
                    done.failed.push(Failure { server: step.server, object, error });
                    done.refused.push(step.clone());
                }
            }
        }
        Ok(again)
    }
}

/// An address is worth binding while any of its virtual servers is sound.
fn is_in_vain(step: &Step, broken: &BTreeSet<VirtualServerKey>, ledger: &Ledger) -> bool {
    let is_broken = |server| broken.contains(&server);
    step.phase.builds()
        && step.server.is_some_and(is_broken)
        && bound_address(&step.op).is_none_or(|address| ledger.bound_by(address).all(is_broken))
}

fn bound_address(op: &Op) -> Option<IpAddr> {
    match *op {
        Op::AddRoute(route) | Op::ReplaceRoute { new: route, .. } => Some(route.address),
        Op::AddAddress(address) => Some(address),
        Op::AddMember(SetId { purpose: Purpose::IpvsIps, .. }, member) => match member.entry {
            Entry::Ip(address) => Some(address),
            _ => None,
        },
        _ => None,
    }
}

/// The refused op that `step` must wait for:
/// - the removal of a service, for without the member that it removes nobody could tell later that
///   the service is ours;
/// - the new way of binding an address, for without the old one nobody could reach it.
fn blocker<'a>(step: &Step, refused: &'a [Step]) -> Option<&'a Step> {
    refused.iter().find(|refused| match (&step.op, &refused.op) {
        (Op::DeleteMember(set, entry), Op::DeleteService(id)) => {
            ownership::is_sign(*set, entry, id)
        }
        (Op::DeleteRoute(route), Op::AddAddress(address)) => route.address == *address,
        (Op::RemoveDevice | Op::CreateDevice, Op::AddRoute(_) | Op::ReplaceRoute { .. }) => true,
        _ => false,
    })
}

fn vanished(op: &Op) -> io::Error {
    let what = format!("what should hold it has vanished: {op}");
    io::Error::new(io::ErrorKind::NotFound, what)
}

#[derive(PartialEq, Eq)]
enum Client {
    Ipvs,
    Ipset,
    Route,
    Device,
    PacketFilter,
}

impl Client {
    const fn of(op: &Op) -> Self {
        match op {
            Op::CreateSet(..)
            | Op::DestroySet(_)
            | Op::DestroyLegacySet(_)
            | Op::CreateScratch(..)
            | Op::FillScratch(..)
            | Op::SwapScratch(_)
            | Op::DestroyScratch(_)
            | Op::AddMember(..)
            | Op::DeleteMember(..) => Self::Ipset,
            Op::AddRoute(_)
            | Op::ReplaceRoute { .. }
            | Op::DeleteRoute(_)
            | Op::AddAddress(_)
            | Op::DeleteAddress(_) => Self::Route,
            Op::CreateDevice | Op::RemoveDevice => Self::Device,
            Op::RemoveLegacyRules(_) | Op::RemoveLegacyTable(_) => Self::PacketFilter,
            Op::AddService(_)
            | Op::SetService(_)
            | Op::DeleteService(_)
            | Op::AddDestination(..)
            | Op::SetDestination(..)
            | Op::DeleteDestination(..) => Self::Ipvs,
        }
    }
}

/// An answer of any client.
enum Answer {
    Ok,
    Errno(Errno),
    Set(SetError),
    Device(io::Error),
    PacketFilter(io::Error),
}

fn ask(kernel: &mut impl Kernel, steps: &[&Step], observed: &Observed) -> io::Result<Vec<Answer>> {
    let Some(first) = steps.first() else { return Ok(Vec::new()) };
    let errno = |answer: Result<(), Errno>| answer.map_or_else(Answer::Errno, |()| Answer::Ok);
    let set = |answer: Result<(), SetError>| answer.map_or_else(Answer::Set, |()| Answer::Ok);
    let ops = steps.iter().map(|step| &step.op);
    Ok(match Client::of(&first.op) {
        Client::Ipvs => {
            let requests: Vec<_> = ops.filter_map(ipvs_request).collect();
            kernel.ipvs(&requests)?.into_iter().map(errno).collect()
        }
        Client::Ipset => {
            let requests: Vec<_> = ops.filter_map(set_request).collect();
            kernel.ipset(&requests)?.into_iter().map(set).collect()
        }
        Client::Route => {
            let device = device_index(kernel, steps, observed)?;
            let requests: Vec<_> = ops.filter_map(|op| route_request(op, device)).collect();
            kernel.route(&requests)?.into_iter().map(errno).collect()
        }
        Client::Device => ops.map(|op| change_device(kernel, op)).collect(),
        Client::PacketFilter => ops.map(|op| change_packet_filter(kernel, op)).collect(),
    })
}

fn ipvs_request(op: &Op) -> Option<ipvs::Request> {
    use ipvs::Request;
    Some(match *op {
        Op::AddService(service) => Request::AddService(service),
        Op::SetService(service) => Request::SetService(service),
        Op::DeleteService(id) => Request::DeleteService(id),
        Op::AddDestination(id, destination) => Request::AddDestination(id, destination),
        Op::SetDestination(id, destination) => Request::SetDestination(id, destination),
        Op::DeleteDestination(id, destination) => Request::DeleteDestination(id, destination),
        _ => return None,
    })
}

fn set_request(op: &Op) -> Option<ipset::Request> {
    use ipset::Request;
    Some(match *op {
        Op::CreateSet(_, spec) | Op::CreateScratch(_, spec) => Request::Create(spec),
        Op::DestroySet(set) => Request::Destroy(set.name()),
        Op::DestroyLegacySet(name) => Request::Destroy(name),
        Op::FillScratch(set, member) => Request::Add(set.scratch_name(), member),
        Op::SwapScratch(set) => Request::Swap(set.name(), set.scratch_name()),
        Op::DestroyScratch(set) => Request::Destroy(set.scratch_name()),
        Op::AddMember(set, member) => Request::Add(set.name(), member),
        Op::DeleteMember(set, entry) => Request::Delete(set.name(), entry),
        _ => return None,
    })
}

/// The device that addresses of `steps` are for; 0, which is no device, if none are or it is not
/// there.
fn device_index(kernel: &mut impl Kernel, steps: &[&Step], observed: &Observed) -> io::Result<u32> {
    let needs_one = |step: &&Step| matches!(step.op, Op::AddAddress(_) | Op::DeleteAddress(_));
    match &observed.device {
        Some(device) if device.index != 0 => Ok(device.index),
        _ if steps.iter().any(needs_one) => Ok(kernel.device_index()?.unwrap_or(0)),
        _ => Ok(0),
    }
}

fn change_device(kernel: &mut impl Kernel, op: &Op) -> Answer {
    let result = match op {
        Op::RemoveDevice => kernel.remove_device(),
        _ => kernel.create_device(),
    };
    result.map_or_else(Answer::Device, |()| Answer::Ok)
}

fn change_packet_filter(kernel: &mut impl Kernel, op: &Op) -> Answer {
    let result = match op {
        Op::RemoveLegacyRules(rules) => {
            kernel.change_rules(rules.family, None, &mut |saved| rules.removal_input(saved))
        }
        Op::RemoveLegacyTable(family) => kernel.remove_table(*family, LEGACY_TABLE),
        _ => Ok(()),
    };
    result.map_or_else(Answer::PacketFilter, |()| Answer::Ok)
}

fn route_request(op: &Op, device: u32) -> Option<route::Request> {
    use route::Request;
    Some(match *op {
        Op::AddRoute(route) => Request::Add(route),
        Op::ReplaceRoute { old, new } => Request::Replace { old, new },
        Op::DeleteRoute(route) => Request::Delete(route),
        Op::AddAddress(address) => Request::AddAddress { device, address },
        Op::DeleteAddress(address) => Request::DeleteAddress { device, address },
        _ => return None,
    })
}

enum Verdict {
    Done,
    /// It is there with other settings: change it instead.
    Instead(Op),
    /// What should contain it is not there: memory is wrong.
    Lost,
    Failed(ObjectError),
}

fn judge(op: &Op, answer: Answer) -> Verdict {
    match answer {
        Answer::Ok => Verdict::Done,
        Answer::Errno(errno) => judge_errno(op, errno),
        Answer::Set(SetError::Missing)
            if matches!(
                op,
                Op::DestroySet(_) | Op::DestroyLegacySet(_) | Op::DestroyScratch(_)
            ) =>
        {
            Verdict::Done
        }
        Answer::Set(error) => judge_set(error),
        Answer::Device(error) if error.kind() == io::ErrorKind::AlreadyExists => Verdict::Done,
        // Only a sign for others: everything works without it.
        Answer::Device(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw()) => {
            let what = "dummy devices (kernel module dummy)";
            Verdict::Failed(ObjectError::Unsupported(Feature::Other(what)))
        }
        Answer::Device(error) | Answer::PacketFilter(error) => {
            Verdict::Failed(ObjectError::Rejected(error))
        }
    }
}

fn judge_errno(op: &Op, errno: Errno) -> Verdict {
    match (op, errno) {
        (Op::AddService(service), Errno::EXIST) => Verdict::Instead(Op::SetService(*service)),
        (Op::AddDestination(id, destination), Errno::EXIST) => {
            Verdict::Instead(Op::SetDestination(*id, *destination))
        }
        (
            Op::DeleteService(_) | Op::DeleteDestination(..) | Op::DeleteRoute(_),
            Errno::SRCH | Errno::NOENT,
        )
        | (Op::DeleteAddress(_), Errno::ADDRNOTAVAIL | Errno::NODEV)
        | (Op::AddAddress(_), Errno::EXIST) => Verdict::Done,
        (Op::SetService(_) | Op::AddDestination(..) | Op::SetDestination(..), Errno::SRCH) => {
            Verdict::Lost
        }
        // One of ours with another source address.
        (Op::AddRoute(_), Errno::EXIST) => Verdict::Lost,
        (Op::SetDestination(..), Errno::NOENT) => Verdict::Lost,
        // The kernel found no module for the scheduler.
        (Op::AddService(service) | Op::SetService(service), Errno::NOENT) => {
            Verdict::Failed(unknown_scheduler(service, errno))
        }
        (_, Errno::NOSPC | Errno::NOMEM) => Verdict::Failed(ObjectError::Exhausted),
        _ => Verdict::Failed(ObjectError::Rejected(errno.into())),
    }
}

fn unknown_scheduler(service: &ipvs::Service, errno: Errno) -> ObjectError {
    let scheduler: Result<Scheduler, _> = service.scheduler.as_str().parse();
    scheduler.map_or_else(
        |_| ObjectError::Rejected(errno.into()),
        |scheduler| ObjectError::Unsupported(Feature::Scheduler(scheduler)),
    )
}

fn judge_set(error: SetError) -> Verdict {
    match error {
        SetError::Missing => Verdict::Lost,
        SetError::Full => Verdict::Failed(ObjectError::Exhausted),
        SetError::Errno(errno) => Verdict::Failed(ObjectError::Rejected(errno.into())),
        other => Verdict::Failed(ObjectError::Rejected(io::Error::other(other))),
    }
}
