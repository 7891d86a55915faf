//! The state machine of a member of KIP-848, driven by values.

use super::*;
use crate::backoff::Backoff;

const SESSION: Duration = Duration::from_secs(45);

fn habits() -> Habits {
    Habits {
        cooperative: false,
        is_static: false,
        either: false,
        heartbeat: Duration::from_secs(3),
        session_timeout: SESSION,
        backoff: Backoff::default(),
    }
}

fn topic(id: u128) -> TopicId {
    TopicId::from_u128(id)
}

fn places(numbers: &[i32]) -> BTreeSet<Place> {
    numbers.iter().map(|number| (topic(1), *number)).collect()
}

fn refused(code: ErrorCode) -> ClientError {
    ClientError::refused("group g", code, None)
}

/// A member with its clock, and what it last asked for.
struct Lab {
    member: ConsumerMember,
    now: Duration,
    todo: Vec<Action>,
}

impl Lab {
    fn new(habits: Habits) -> Self {
        let member = ConsumerMember::new(habits, "m".into(), Random::seeded(1));
        let mut lab = Self { member, now: Duration::ZERO, todo: vec![] };
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
        let beat = |beat: &Beat| {
            let owned = beat.owned.as_ref().map(|owned| {
                owned.iter().map(|(_, number)| number.to_string()).collect::<Vec<_>>().join(",")
            });
            let full = if beat.full { " full" } else { "" };
            format!("{}@{}{full} {owned:?}", beat.member_id, beat.epoch)
        };
        self.todo
            .iter()
            .map(|action| match action {
                Action::Hear { beat: it, .. } => format!("beat {}", beat(it)),
                Action::Depart(it) => format!("depart {}", beat(it)),
                Action::Name(ids) => format!("name {}", ids.len()),
                Action::Revoke(parts) => format!("revoke {}", numbers(parts)),
                Action::Lose(parts) => format!("lose {}", numbers(parts)),
                Action::Assign(parts) => format!("assign {}", numbers(parts)),
                Action::ChangeSides(error) => format!("other side {:?}", error.code()),
                Action::Fail(error) => format!("fail {:?}", error.code()),
                Action::End => "end".to_owned(),
                other => panic!("{other:?} is not of this protocol"),
            })
            .collect()
    }

    fn attempt(&self) -> u64 {
        self.member.attempt
    }

    fn hear(&mut self, epoch: i32, assignment: Option<&[i32]>) {
        let heard = Heard {
            member_id: Some("m".into()),
            epoch,
            interval: Duration::from_secs(5),
            assignment: assignment.map(places),
        };
        self.tell(Event::Heard(self.attempt(), Ok(heard)));
    }

    fn fails(&mut self, code: ErrorCode) {
        self.tell(Event::Heard(self.attempt(), Err(refused(code))));
    }

    fn name(&mut self, id: u128, name: &str) {
        self.tell(Event::Named([(topic(id), Text::from(name))].into()));
    }

    /// A member with a place, which has told that it reads these.
    fn stable(habits: Habits, share: &[i32]) -> Self {
        let mut lab = Self::new(habits);
        lab.hear(1, Some(share));
        if !share.is_empty() {
            lab.name(1, "t");
            lab.hear(1, None);
        }
        assert!(lab.member.is_stable());
        lab
    }
}

#[test]
fn a_member_joins_learns_the_names_and_says_what_it_reads() {
    let mut lab = Lab::new(habits());
    assert_eq!(lab.short(), [r#"beat m@0 full Some("")"#]);
    assert_eq!((lab.member.identity(), lab.member.takes_commits()), (None, false));
    lab.hear(3, Some(&[0, 1]));
    assert_eq!(lab.short(), ["name 1"]);
    assert_eq!(lab.member.identity(), Some((&Text::from("m"), 3)));
    lab.name(1, "t");
    assert_eq!(lab.short(), ["assign 0,1", r#"beat m@3 Some("0,1")"#]);
    lab.hear(3, None);
    assert_eq!((lab.short().len(), lab.member.wake()), (0, Some(Duration::from_secs(5))));
    lab.sleep();
    assert_eq!(lab.short(), ["beat m@3 None"], "what it reads is known");
}

#[test]
fn what_goes_is_given_back_before_that_is_said_and_what_stays_is_read_on() {
    let mut lab = Lab::stable(habits(), &[0, 1]);
    lab.sleep();
    lab.hear(1, Some(&[1, 2]));
    assert_eq!(lab.short(), ["revoke 0"]);
    assert!(lab.member.takes_commits(), "what was read is committed now");
    lab.sleep();
    assert_eq!(lab.short(), ["beat m@1 None"], "the user is still at it");
    lab.hear(1, None);
    lab.tell(Event::Released);
    assert_eq!(lab.short(), ["assign 2", r#"beat m@1 Some("1,2")"#]);
    lab.hear(2, None);
    assert_eq!((lab.short().len(), lab.member.identity().unwrap().1), (0, 2));
}

#[test]
fn a_target_that_changes_meanwhile_is_the_one_that_counts() {
    let mut lab = Lab::stable(habits(), &[0, 1]);
    lab.sleep();
    lab.hear(1, Some(&[1]));
    assert_eq!(lab.short(), ["revoke 0"]);
    lab.sleep();
    lab.hear(1, Some(&[3]));
    assert_eq!(lab.short().len(), 0);
    lab.tell(Event::Released);
    assert_eq!(lab.short(), ["revoke 1"]);
    lab.tell(Event::Released);
    assert_eq!(lab.short(), ["assign 3", r#"beat m@1 Some("3")"#]);
}

#[test]
fn a_topic_made_again_is_another_topic() {
    let mut lab = Lab::stable(habits(), &[0]);
    lab.sleep();
    let anew = Heard {
        member_id: None,
        epoch: 1,
        interval: Duration::from_secs(5),
        assignment: Some([(topic(2), 0)].into()),
    };
    lab.tell(Event::Heard(lab.attempt(), Ok(anew)));
    assert_eq!(lab.short(), ["revoke 0"]);
    lab.tell(Event::Released);
    assert_eq!(lab.short(), ["name 1", r#"beat m@1 Some("")"#]);
    lab.name(2, "t");
    assert_eq!(lab.short(), ["assign 0"]);
    lab.hear(2, None);
    assert_eq!(lab.short(), [r#"beat m@2 Some("0")"#]);
}

#[test]
fn names_that_are_not_known_are_asked_for_with_the_next_heartbeat() {
    let mut lab = Lab::new(habits());
    lab.hear(1, Some(&[0]));
    assert_eq!(lab.short(), ["name 1"]);
    lab.tell(Event::Named(BTreeMap::new()));
    assert_eq!(lab.short().len(), 0);
    lab.sleep();
    lab.hear(1, None);
    assert_eq!(lab.short(), ["name 1"]);
}

#[test]
fn who_is_fenced_has_lost_everything_and_joins_anew() {
    for code in
        [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId, ErrorCode::GroupIdNotFound]
    {
        let mut lab = Lab::stable(habits(), &[0, 1]);
        lab.sleep();
        lab.fails(code);
        assert_eq!(lab.short(), ["lose 0,1"]);
        assert_eq!(lab.member.identity(), None);
        lab.sleep();
        assert_eq!(lab.short(), [r#"beat m@0 full Some("")"#]);
        lab.hear(7, Some(&[1]));
        assert_eq!(lab.short(), ["assign 1", r#"beat m@7 Some("1")"#]);

        let mut lab = Lab::stable(habits(), &[0, 1]);
        lab.tell(Event::CommitRefused(refused(code)));
        assert_eq!(lab.short(), ["lose 0,1"]);

        let mut lab = Lab::stable(habits(), &[0, 1]);
        lab.sleep();
        lab.hear(1, Some(&[1]));
        lab.sleep();
        lab.fails(code);
        assert_eq!(lab.short(), ["lose 1"], "the user gives the other back already");
        assert_eq!(lab.member.wake(), None);
        lab.tell(Event::Released);
        lab.sleep();
        assert_eq!(lab.short(), [r#"beat m@0 full Some("")"#]);
    }
}

#[test]
fn faults_that_pass_are_waited_out_and_everything_is_said_again() {
    let mut lab = Lab::new(habits());
    lab.fails(ErrorCode::NotCoordinator);
    assert_eq!(lab.short().len(), 0);
    lab.sleep();
    assert_eq!(lab.short(), [r#"beat m@0 full Some("")"#]);
    let mut lab = Lab::stable(habits(), &[0]);
    lab.sleep();
    lab.fails(ErrorCode::CoordinatorLoadInProgress);
    assert!(lab.member.is_stable(), "reading goes on");
    lab.sleep();
    assert!(lab.now < Duration::from_secs(7), "not a whole interval later");
    assert_eq!(lab.short(), [r#"beat m@1 full Some("0")"#]);
    lab.fails(ErrorCode::FencedInstanceId);
    assert_eq!(lab.short(), ["lose 0", "fail Some(FencedInstanceId)"]);
    assert_eq!(lab.member.wake(), None);
}

#[test]
fn a_commit_of_an_old_epoch_asks_for_the_new_one() {
    let mut lab = Lab::stable(habits(), &[0]);
    lab.tell(Event::CommitRefused(refused(ErrorCode::StaleMemberEpoch)));
    assert_eq!(lab.short(), ["beat m@1 None"]);
    lab.tell(Event::CommitRefused(refused(ErrorCode::OffsetMetadataTooLarge)));
    assert!(lab.member.is_stable() && lab.short().is_empty());
}

#[test]
fn a_group_of_the_other_kind_is_joined_as_what_it_is() {
    for code in [ErrorCode::GroupIdNotFound, ErrorCode::UnsupportedVersion] {
        let mut lab = Lab::new(habits());
        lab.fails(code);
        assert_eq!(lab.short(), [format!("fail Some({code:?})")], "only one kind is wanted");
        let mut lab = Lab::new(Habits { either: true, ..habits() });
        lab.fails(code);
        assert_eq!(lab.short(), [format!("other side Some({code:?})")]);
    }
}

#[test]
fn the_place_of_a_former_self_is_waited_for_as_long_as_its_session() {
    let mut lab = Lab::new(Habits { is_static: true, ..habits() });
    while lab.now < SESSION {
        lab.fails(ErrorCode::UnreleasedInstanceId);
        assert_eq!(lab.short().len(), 0, "at {:?}", lab.now);
        lab.sleep();
    }
    lab.fails(ErrorCode::UnreleasedInstanceId);
    assert_eq!(lab.short(), ["fail Some(UnreleasedInstanceId)"]);
}

#[test]
fn leaving_says_whether_the_place_is_kept() {
    for (is_static, goodbye) in [(false, "depart m@-1 None"), (true, "depart m@-2 None")] {
        let habits = Habits { is_static, ..habits() };
        let mut lab = Lab::stable(habits, &[0]);
        lab.tell(Event::Leave);
        assert_eq!(lab.short(), [goodbye]);
        lab.tell(Event::Left);
        assert_eq!(lab.short(), ["end"]);
        let mut lab = Lab::stable(habits, &[0]);
        lab.tell(Event::Quiet);
        assert_eq!(lab.short(), [goodbye, "lose 0"]);
        assert_eq!(lab.member.wake(), None);
        lab.tell(Event::Back);
        assert_eq!(lab.short(), [r#"beat m@0 full Some("")"#]);
    }
    let mut lab = Lab::new(habits());
    lab.tell(Event::Leave);
    assert_eq!(lab.short(), ["depart m@-1 None"], "the join may be heard yet");
    let mut lab = Lab::new(habits());
    lab.fails(ErrorCode::NotCoordinator);
    lab.tell(Event::Leave);
    assert_eq!(lab.short(), ["end"], "never joined");
}

#[test]
fn other_topics_are_said_at_once() {
    let mut lab = Lab::stable(habits(), &[0]);
    lab.tell(Event::Changed);
    assert_eq!(lab.short(), [r#"beat m@1 full Some("0")"#]);
}

#[test]
fn what_changes_while_a_heartbeat_is_on_its_way_goes_with_the_next() {
    let mut lab = Lab::stable(habits(), &[0]);
    lab.sleep();
    lab.tell(Event::Changed);
    assert_eq!(lab.short().len(), 0);
    lab.hear(1, None);
    assert_eq!(lab.short(), [r#"beat m@1 full Some("0")"#]);
    let mut lab = Lab::new(habits());
    lab.tell(Event::Changed);
    lab.hear(1, Some(&[]));
    assert_eq!(lab.short(), [r#"beat m@1 full Some("")"#]);
    lab.hear(1, None);
    assert_eq!(lab.short().len(), 0);
}

#[test]
fn nothing_to_read_is_told_when_others_had_time_to_give_something_back() {
    let mut lab = Lab::new(habits());
    lab.hear(1, Some(&[]));
    assert_eq!(lab.short().len(), 0);
    lab.sleep();
    lab.hear(1, None);
    assert_eq!(lab.short().len(), 0);
    lab.sleep();
    lab.hear(1, None);
    assert_eq!(lab.short(), ["assign "]);
    lab.sleep();
    lab.hear(1, None);
    assert_eq!(lab.short().len(), 0, "once");
}

#[test]
fn an_answer_to_something_else_changes_nothing() {
    let mut lab = Lab::stable(habits(), &[0]);
    let before = lab.attempt();
    lab.tell(Event::Heard(before, Err(refused(ErrorCode::UnknownMemberId))));
    lab.tell(Event::Heard(before + 1, Err(refused(ErrorCode::UnknownMemberId))));
    lab.tell(Event::Released);
    lab.tell(Event::Back);
    assert!(lab.member.is_stable() && lab.short().is_empty());
}

/// What is being given back is the user's to let go of: it joins again when he has, and not before.
#[test]
fn a_user_who_does_not_come_while_it_gives_back_is_waited_for() {
    let mut lab = Lab::stable(habits(), &[0, 1]);
    lab.sleep();
    lab.hear(2, Some(&[1]));
    assert_eq!(lab.short(), ["revoke 0"]);
    lab.tell(Event::Quiet);
    assert_eq!(lab.short(), ["depart m@-1 None", "lose 1"]);
    assert_eq!((lab.member.identity(), lab.member.wake()), (None, None));
    lab.tell(Event::Back);
    assert!(lab.short().is_empty(), "a share that came now would meet what goes: {:?}", lab.todo);
    lab.now += Duration::from_secs(60);
    lab.tell(Event::Released);
    assert_eq!(lab.short(), [r#"beat m@0 full Some("")"#]);
}
