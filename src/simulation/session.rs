//! One session of the server: it starts, answers one exchange after the other, and ends.

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use futures_util::future::{Either, FutureExt, select};
use tokio::{
    io::{DuplexStream, ReadHalf, split},
    time::{self, Instant},
};

use super::{
    answer::{Output, Refusal},
    block::Block,
    exchange::Exchange,
    outlet::{Outlet, Over},
    plan::{Cut, Place, Stage},
    request::{Opening, Request, read_opening, read_request},
    scram,
    state::{self, FIRST_PROCESS_ID, Interrupt, KEEP_ALIVE, Owner, Phase},
    transaction::{Stop, Transaction},
    world::World,
};

/// Calls that are sent together wait for no longer.
const HELD_UP: Duration = Duration::from_secs(1);

pub(super) struct Session {
    world: Arc<World>,
    connection: usize,
    reader: ReadHalf<DuplexStream>,
    outlet: Outlet,
    /// Exchanges that have begun.
    exchanges: usize,
    /// Those of them that have executed a statement.
    executions: usize,
    /// What has been read, and not answered.
    requests: VecDeque<Request>,
}

impl Session {
    pub(super) fn new(world: Arc<World>, connection: usize, stream: DuplexStream) -> Self {
        let (reader, writer) = split(stream);
        let outlet = Outlet::new(writer);
        Self { world, connection, reader, outlet, exchanges: 0, executions: 0, requests: VecDeque::new() }
    }

    pub(super) async fn serve(mut self) {
        let world = self.world.clone();
        {
            let live = pin!(self.live());
            let over = pin!(world.is_over.notified());
            select(live, over).await;
        }
        if world.state().sessions[self.connection].is_served() {
            self.enter(Phase::Over);
        }
        world.over(self.connection);
        world.state().sessions[self.connection].block = None;
        world.unlock(Owner::Session(self.connection));
        world.note(|| format!("connection {} is no longer served", self.connection));
        // The client sees the end of the stream from here on.
        drop((self.reader, self.outlet));
    }

    fn enter(&self, phase: Phase) {
        self.world.state().sessions[self.connection].phase = phase;
    }

    async fn live(&mut self) -> Result<(), Over> {
        match read_opening(&mut self.reader).await {
            None => return Ok(()),
            Some(Opening::Cancel { process_id, secret }) => {
                self.world.of_record(self.connection, |record| record.is_cancel = true);
                self.world.cancel(process_id, secret).await;
                return Ok(());
            }
            Some(Opening::Session) => {}
        }
        self.enter(Phase::Starting);
        let is_session = |session: &&state::Session| session.is_open && session.phase != Phase::Dialed;
        let open = self.world.state().sessions.iter().filter(is_session).count();
        if open > self.world.plan.max {
            self.world.violated(format!("{open} connections are open"));
        }
        self.start().await?;
        loop {
            let requests = self.read_exchange().await?;
            self.exchange(requests).await?;
        }
    }

    async fn start(&mut self) -> Result<(), Over> {
        self.exchanges += 1;
        let mut output = Output::default();
        if let Some(refusal) = self.world.refusal(self.connection) {
            return self.stop(Stop::Fatal(refusal), output).await;
        }
        if self.world.plan.has_password {
            output.scram_is_wanted();
            self.write(&output.bytes).await?;
            let challenge = scram::challenge(&self.read_password().await?);
            output = Output::default();
            output.scram_continues(&challenge.message);
            self.write(&output.bytes).await?;
            let last = scram::finish(&challenge, &self.read_password().await?);
            output = Output::default();
            let Some(message) = last else {
                let refusal = Refusal::fatal("28P01", "password authentication failed");
                return self.stop(Stop::Fatal(refusal), output).await;
            };
            output.scram_ends(&message);
        }
        let startup = Exchange::new(self.world.clone(), self.connection, 0, vec![Place::Exchange(0)], &[]);
        if let Some(stop) = startup.trouble(Stage::Received).await {
            return self.stop(stop, output).await;
        }
        output.authenticated();
        output.parameter_status("server_version", "18.0");
        let process_id = FIRST_PROCESS_ID + i32::try_from(self.connection).unwrap();
        let secret = self.world.state().sessions[self.connection].secret;
        output.key_data(process_id, secret);
        output.ready(b'I');
        self.world.of_record(self.connection, |record| record.ready = Some(Instant::now()));
        self.outlet.answer(&startup, &output.bytes).await
    }

    async fn read_password(&mut self) -> Result<Vec<u8>, Over> {
        match read_request(&mut self.reader).await {
            Some(Request::Password(body)) => Ok(body),
            _ => Err(Over),
        }
    }

    /// Everything up to a `Sync` or `Query`.
    async fn read_exchange(&mut self) -> Result<Vec<Request>, Over> {
        let now = Instant::now();
        self.enter(Phase::Idle { since: now });
        self.world.of_record(self.connection, |record| record.quiet_since = record.quiet_since.map(|_| now));
        let interrupted = self.world.state().sessions[self.connection].interrupted.clone();
        loop {
            if let Some(interrupt) = self.world.take_interrupt(self.connection) {
                match interrupt {
                    // Nothing is under way.
                    Interrupt::Cancel => {}
                    Interrupt::Crash => {
                        return self.stop(Stop::Reset(Cut::After(0)), Output::default()).await.map(|()| Vec::new());
                    }
                    Interrupt::Terminate(code) => {
                        let stop = Stop::Fatal(Refusal::fatal(code, "terminating connection"));
                        return self.stop(stop, Output::default()).await.map(|()| Vec::new());
                    }
                }
            }
            if let Some(Request::Terminate) = self.requests.front() {
                return Err(Over);
            }
            if let Some(last) = self.requests.iter().position(Request::is_last) {
                return Ok(self.requests.drain(..=last).collect());
            }
            // What is half read when an interrupt comes is lost only with the session, as a request that is half read
            // has no more than this one reader: a cancel leaves the reading where it is.
            let request = {
                let mut reading = pin!(read_request(&mut self.reader));
                loop {
                    let due = pin!(self.outlet.due());
                    match select(reading.as_mut(), select(pin!(interrupted.notified()), due)).await {
                        Either::Left((request, _)) => break request,
                        Either::Right((Either::Right(_), _)) => {
                            self.outlet.write(&[]).await?;
                        }
                        Either::Right((Either::Left(_), _)) => {
                            let mut state = self.world.state();
                            let interrupt = &mut state.sessions[self.connection].interrupt;
                            if matches!(interrupt, Some(Interrupt::Cancel)) {
                                *interrupt = None;
                            } else {
                                break Some(Request::Terminate);
                            }
                        }
                    }
                }
            };
            if self.world.state().sessions[self.connection].interrupt.is_some() {
                continue;
            }
            self.requests.push_back(request.ok_or(Over)?);
        }
    }

    /// What has come with the first question.
    fn read_ahead(&mut self) {
        while let Some(Some(request)) = read_request(&mut self.reader).now_or_never() {
            self.requests.push_back(request);
        }
        let ahead = self.requests.iter().filter(|request| request.is_last()).count();
        self.world.state().sessions[self.connection].ahead = ahead;
    }

    async fn exchange(&mut self, requests: Vec<Request>) -> Result<(), Over> {
        let number = self.exchanges;
        self.exchanges += 1;
        self.world.state().begin_exchange(self.connection, number);
        self.world.pass_latency().await;
        if number == 1 {
            self.read_ahead();
        }
        let mut output = Output::default();
        let mut places = vec![Place::Exchange(number)];
        if requests.iter().any(|request| matches!(request, Request::Execute) || request.is_query("COMMIT")) {
            places.push(Place::Execution(self.executions));
            self.executions += 1;
        }
        let exchange = Exchange::new(self.world.clone(), self.connection, number, places, &requests);
        let mut transaction = Transaction::new(self.world.clone(), self.connection, number);
        let result = exchange.perform(requests, &mut transaction, &mut output).await;
        if let Err(Stop::Refused(_)) = &result {
            transaction.fail();
        }
        transaction.end();
        if let Some(executes) = self.executes() {
            let mut state = self.world.state();
            if !state.record.received[executes].is_ahead {
                state.sessions[self.connection].free_since = Instant::now();
            }
        }
        // The first question is what the session is.
        let is_opened = number == 1 && result.is_ok() && self.world.is_wanted(self.connection);
        match result {
            Ok(()) => {}
            Err(Stop::Refused(refusal)) => {
                self.world.note(|| format!("connection {} refuses {number}: {}", self.connection, refusal.message));
                output.refuse(&refusal);
            }
            Err(stop) => return self.stop(stop, output).await,
        }
        output.ready(self.world.state().sessions[self.connection].block.as_ref().map_or(b'I', Block::status));
        self.outlet.answer(&exchange, &output.bytes).await?;
        if is_opened {
            self.world.of_record(self.connection, |record| record.answered = Some(Instant::now()));
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.outlet.write(bytes).await
    }

    /// The last that the client hears.
    async fn stop(&mut self, stop: Stop, mut output: Output) -> Result<(), Over> {
        self.world.note(|| format!("connection {} stops: {stop:?}", self.connection));
        let executes = self.executes();
        match stop {
            Stop::Refused(refusal) | Stop::Fatal(refusal) => {
                output.refuse(&refusal);
                self.write(&output.bytes).await?;
            }
            Stop::PoolerEnds(refusal) => {
                output = Output::default();
                output.refuse(&refusal);
                self.write(&output.bytes).await?;
            }
            Stop::Reset(cut) => {
                self.write(&output.bytes[..cut.of(output.bytes.len())]).await?;
                self.world.state().sessions[self.connection].is_reset = true;
            }
            Stop::Silence(cut) => {
                self.write(&output.bytes[..cut.of(output.bytes.len())]).await?;
                time::sleep(KEEP_ALIVE).await;
                self.world.state().sessions[self.connection].is_reset = true;
            }
        }
        let now = Some(Instant::now());
        let mut state = self.world.state();
        if let Some(executes) = executes.filter(|_| state.sessions[self.connection].is_open) {
            let received = &mut state.record.received[executes];
            let is_waited_for = received.calls.len() == 1 || received.at.elapsed() < HELD_UP;
            received.lost_at = now.filter(|_| is_waited_for && !received.is_ahead);
        }
        let record = &mut state.record.connections[self.connection];
        if record.ready.is_none() {
            record.refused = now;
        }
        Err(Over)
    }

    /// What it executes.
    fn executes(&self) -> Option<usize> {
        match self.world.state().sessions[self.connection].phase {
            Phase::Working { executes } => executes,
            Phase::WaitingForStandby { executes } => Some(executes),
            _ => None,
        }
    }
}
