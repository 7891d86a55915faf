//! The member's state machine, driven by values.

use bytes::Bytes;

use super::super::Joined;
use super::*;
use crate::backoff::Backoff;
use crate::consumer::TopicPartition;

fn habits(cooperative: bool) -> Habits {
    Habits {
        cooperative,
        is_static: false,
        either: false,
        heartbeat: Duration::from_secs(3),
        session_timeout: Duration::from_secs(45),
        backoff: Backoff::default(),
    }
}

fn parts(numbers: &[i32]) -> Parts {
    numbers.iter().map(|number| TopicPartition::new("t", *number)).collect()
}

fn refused(code: ErrorCode) -> ClientError {
    ClientError::refused("group g", code, None)
}

/// A member with its clock, and what it last asked for.
struct Lab {
    member: ClassicMember,
    now: Duration,
    todo: Vec<Action>,
}

impl Lab {
    fn new(habits: Habits) -> Self {
        let mut lab = Self {
            member: ClassicMember::new(habits, Random::seeded(1)),
            now: Duration::ZERO,
            todo: vec![],
        };
        lab.tell(Event::Wake);
        lab
    }

    fn tell(&mut self, event: Event) {
        self.todo = self.member.step(self.now, event);
    }

    /// Lets time pass up to when the member wants to wake.
    fn sleep(&mut self) {
        self.now = self.member.wake().expect("it waits for a time");
        self.tell(Event::Wake);
    }

    fn short(&self) -> Vec<String> {
        let numbers = |parts: &Parts| {
            parts.iter().map(|part| part.partition.to_string()).collect::<Vec<_>>().join(",")
        };
        self.todo
            .iter()
            .map(|action| match action {
                Action::Join { member_id, generation, owned, .. } => {
                    format!("join {member_id}@{generation} [{}]", numbers(owned))
                }
                Action::Lead { .. } => "lead".to_owned(),
                Action::Sync { shares, generation, .. } => {
                    format!("sync @{generation} {}", shares.len())
                }
                Action::Beat { generation, .. } => format!("beat @{generation}"),
                Action::Revoke(parts) => format!("revoke {}", numbers(parts)),
                Action::Lose(parts) => format!("lose {}", numbers(parts)),
                Action::Assign(parts) => format!("assign {}", numbers(parts)),
                Action::LeaveGroup(id) => format!("leave {id}"),
                Action::Fail(error) => format!("fail {:?}", error.code()),
                Action::End => "end".to_owned(),
                other => panic!("{other:?} is not of a classic member"),
            })
            .collect()
    }

    fn attempt(&self) -> u64 {
        self.member.attempt
    }

    fn join(&mut self, generation: i32, leads: bool) {
        let joined = Joined {
            member_id: "m".into(),
            generation,
            protocol: "range".into(),
            leads,
            skip_assignment: false,
            members: Vec::new(),
        };
        self.tell(Event::Joined(self.attempt(), Ok(JoinAnswer::Member(joined))));
    }

    fn join_fails(&mut self, code: ErrorCode) {
        self.tell(Event::Joined(self.attempt(), Err(refused(code))));
    }

    fn sync(&mut self, share: &[i32]) {
        self.tell(Event::Synced(self.attempt(), Ok(parts(share))));
    }

    fn beat(&mut self, answer: Result<(), ErrorCode>) {
        self.sleep();
        assert!(self.short().iter().any(|action| action.starts_with("beat")), "{:?}", self.todo);
        self.tell(Event::Beat(self.attempt(), answer.map_err(refused)));
    }

    fn stable(habits: Habits, share: &[i32]) -> Self {
        let mut lab = Self::new(habits);
        lab.join(1, false);
        lab.sync(share);
        assert!(lab.member.is_stable());
        lab
    }
}

#[test]
fn a_member_joins_with_the_id_it_is_given_leads_and_beats() {
    let mut lab = Lab::new(habits(false));
    assert_eq!(lab.short(), ["join @-1 []"]);
    lab.tell(Event::Joined(lab.attempt(), Ok(JoinAnswer::Id("m".into()))));
    assert_eq!(lab.short(), ["join m@-1 []"]);
    lab.join(5, true);
    assert_eq!(lab.short(), ["lead"]);
    assert!(!lab.member.takes_commits());
    lab.tell(Event::Led(lab.attempt(), Ok(vec![("m".into(), Bytes::new())])));
    assert_eq!(lab.short(), ["sync @5 1"]);
    lab.sync(&[0, 1]);
    assert_eq!(lab.short(), ["assign 0,1"]);
    assert!(lab.member.takes_commits() && lab.member.leads());
    assert_eq!(lab.member.wake(), Some(Duration::from_secs(3)));
    lab.beat(Ok(()));
    assert_eq!((lab.short().len(), lab.member.wake()), (0, Some(Duration::from_secs(6))));
}

#[test]
fn an_eager_member_gives_all_back_before_it_joins_again() {
    let mut lab = Lab::stable(habits(false), &[0, 1]);
    lab.beat(Err(ErrorCode::RebalanceInProgress));
    assert_eq!(lab.short(), ["revoke 0,1"]);
    assert!(lab.member.takes_commits(), "what was read is committed now");
    lab.beat(Err(ErrorCode::RebalanceInProgress));
    assert_eq!(lab.short().len(), 0, "the user is still at it, and the session is kept up");
    lab.tell(Event::Released);
    assert_eq!(lab.short(), ["join m@1 []"]);
    lab.join(2, false);
    lab.sync(&[1]);
    assert_eq!(lab.short(), ["assign 1"]);
}

#[test]
fn a_cooperative_member_keeps_reading_and_gives_back_only_what_moves() {
    let mut lab = Lab::stable(habits(true), &[0, 1]);
    lab.beat(Err(ErrorCode::RebalanceInProgress));
    assert_eq!(lab.short(), ["join m@1 [0,1]"]);
    lab.join(2, false);
    lab.sync(&[1, 2]);
    assert_eq!(lab.short(), ["revoke 0", "assign 2"]);
    lab.tell(Event::Released);
    assert_eq!(lab.short(), ["join m@2 [1,2]"]);
    lab.join(3, false);
    lab.sync(&[1, 2]);
    assert_eq!(lab.short(), ["assign "], "nothing new");
}

#[test]
fn who_is_not_known_any_more_has_lost_everything_and_joins_anew() {
    for (code, rejoins) in [
        (ErrorCode::UnknownMemberId, "join @-1 []"),
        (ErrorCode::IllegalGeneration, "join m@-1 []"),
    ] {
        let mut lab = Lab::stable(habits(true), &[0, 1]);
        lab.beat(Err(code));
        assert_eq!(lab.short(), ["lose 0,1", rejoins]);
        assert_eq!(lab.member.identity(), None);
        let mut lab = Lab::stable(habits(false), &[0]);
        lab.tell(Event::CommitRefused(refused(code)));
        assert_eq!(lab.short(), ["lose 0", rejoins]);
        let mut lab = Lab::stable(habits(false), &[0, 1]);
        lab.beat(Err(ErrorCode::RebalanceInProgress));
        lab.beat(Err(code));
        assert_eq!(lab.short().len(), 0, "the user gives them back already");
        lab.tell(Event::Released);
        assert_eq!(lab.short(), [rejoins]);
    }
}

#[test]
fn faults_that_pass_are_waited_out_and_others_end_it() {
    let mut lab = Lab::new(habits(false));
    lab.join_fails(ErrorCode::NotCoordinator);
    assert_eq!(lab.short().len(), 0);
    lab.sleep();
    assert_eq!(lab.short(), ["join @-1 []"]);
    lab.join(1, false);
    lab.tell(Event::Synced(lab.attempt(), Err(refused(ErrorCode::RebalanceInProgress))));
    lab.sleep();
    assert_eq!(lab.short(), ["join m@1 []"]);
    lab.join_fails(ErrorCode::GroupMaxSizeReached);
    assert_eq!(lab.short(), ["fail Some(GroupMaxSizeReached)"]);
    assert_eq!(lab.member.wake(), None);
    let mut lab = Lab::stable(habits(false), &[0]);
    lab.beat(Err(ErrorCode::CoordinatorNotAvailable));
    assert!(lab.member.is_stable(), "reading goes on");
    lab.beat(Err(ErrorCode::FencedInstanceId));
    assert_eq!(lab.short(), ["lose 0", "fail Some(FencedInstanceId)"]);
}

#[test]
fn an_answer_to_something_else_changes_nothing() {
    let mut lab = Lab::stable(habits(false), &[0]);
    let before = lab.attempt();
    lab.tell(Event::Joined(before, Err(refused(ErrorCode::UnknownMemberId))));
    lab.tell(Event::Synced(before - 1, Ok(parts(&[7]))));
    lab.tell(Event::Beat(before + 1, Err(refused(ErrorCode::UnknownMemberId))));
    lab.tell(Event::Released);
    lab.tell(Event::Back);
    assert!(lab.member.is_stable());
    assert_eq!(lab.member.identity(), Some((&Text::from("m"), 1)));
}

#[test]
fn a_user_who_does_not_come_loses_the_place_and_gets_one_when_he_is_back() {
    let mut lab = Lab::stable(habits(false), &[0]);
    lab.tell(Event::Quiet);
    assert_eq!(lab.short(), ["leave m", "lose 0"]);
    assert_eq!(lab.member.wake(), None);
    lab.tell(Event::Back);
    assert_eq!(lab.short(), ["join @-1 []"]);
    let fixed = Habits { is_static: true, ..habits(false) };
    let mut lab = Lab::stable(fixed, &[0]);
    lab.tell(Event::Quiet);
    assert_eq!(lab.short(), ["lose 0"], "a static place is kept for the session timeout");
}

#[test]
fn leaving_says_goodbye_unless_the_place_is_kept() {
    let mut lab = Lab::stable(habits(false), &[0]);
    lab.tell(Event::Leave);
    assert_eq!(lab.short(), ["leave m"]);
    lab.tell(Event::Left);
    assert_eq!(lab.short(), ["end"]);
    let mut lab = Lab::stable(Habits { is_static: true, ..habits(false) }, &[0]);
    lab.tell(Event::Leave);
    assert_eq!(lab.short(), ["end"]);
    let mut lab = Lab::new(habits(false));
    lab.tell(Event::Leave);
    assert_eq!(lab.short(), ["end"], "never joined");
}

#[test]
fn a_change_of_topics_while_joining_is_not_forgotten() {
    for early in [true, false] {
        let mut lab = Lab::new(habits(false));
        if early {
            lab.tell(Event::Changed);
        }
        lab.join(1, false);
        if !early {
            lab.tell(Event::Changed);
        }
        lab.sync(&[0]);
        assert_eq!(lab.short(), ["assign 0", "revoke 0"]);
        lab.tell(Event::Released);
        assert_eq!(lab.short(), ["join m@1 []"]);
        lab.join(2, false);
        lab.sync(&[0]);
        assert_eq!(lab.short(), ["assign 0"], "once");
    }
}

/// What is being given back is the user's to let go of: it joins again when he has, and not before.
#[test]
fn a_user_who_does_not_come_while_it_gives_back_is_waited_for() {
    let mut lab = Lab::stable(habits(false), &[0]);
    lab.tell(Event::Changed);
    assert_eq!(lab.short(), ["revoke 0"]);
    lab.tell(Event::Quiet);
    assert_eq!(lab.short(), ["leave m"], "the user was told already that it goes");
    assert_eq!((lab.member.identity(), lab.member.wake()), (None, None));
    lab.tell(Event::Back);
    assert!(lab.short().is_empty(), "a share that came now would meet what goes: {:?}", lab.todo);
    lab.tell(Event::Quiet);
    assert!(lab.short().is_empty(), "it has left already: {:?}", lab.todo);
    lab.tell(Event::Released);
    assert_eq!(lab.short(), ["join @-1 []"]);
}

#[test]
fn what_it_reads_is_lost_when_the_group_is_another_kind() {
    let mut lab = Lab::stable(Habits { either: true, ..habits(true) }, &[0]);
    lab.tell(Event::Changed);
    lab.join_fails(ErrorCode::InconsistentGroupProtocol);
    assert!(
        matches!(&lab.todo[..], [Action::Lose(gone), Action::ChangeSides(_)] if *gone == parts(&[0]))
    );
}
