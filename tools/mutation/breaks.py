"""Forty ways to break the kernel, each with the tests that have to notice.

Each is a defect that systems of this kind really had, or that a hurried change could
bring back; most are invisible to ordinary use.
"""

from __future__ import annotations

from typing import Final

from mutation.runner import Break

_BROKER = "hal/kernel/broker.py"
_DELIVERY = "hal/kernel/delivery.py"
_MAILBOX = "hal/kernel/mailbox.py"
_TURNS = "hal/kernel/turns.py"
_ACTOR = "hal/kernel/actor.py"
_WORK = "hal/kernel/work.py"
_WORKER = "hal/kernel/worker.py"
_LOOP = "hal/kernel/loop.py"
_SUPERVISOR = "hal/kernel/supervisor.py"
_SEAT = "hal/kernel/seat.py"
_DISPATCH = "hal/kernel/dispatch.py"
_DEVICE = "hal/kernel/device_module.py"


def _k(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/kernel/test_{name}.py" for name in names)


BREAKS: Final = (
    # -- deliveries ---------------------------------------------------------------
    Break(
        "the test for the last ticket is not atomic",
        _DELIVERY,
        "        if self._left.pop():\n            self._complete()",
        "        self._left.pop()\n        if not self._owed:\n"
        "            self._complete()",
        _k("interleavings"),
    ),
    Break(
        "a ticket is looked at and then taken, in two steps",
        _DELIVERY,
        "        ticket = self._owed.pop(receiver, None)\n",
        "        ticket = self._owed.get(receiver)\n"
        "        if ticket is not None:\n            self._owed.pop(receiver, None)\n",
        _k("interleavings", "completion"),
    ),
    Break(
        "a waiter looks before it is seen",
        _DELIVERY,
        "        self._waiting.append(event)\n"
        "        # Order matters: the completer sets `complete` first and looks for "
        "events\n"
        "        # second; we added our event first and look at `complete` second.\n"
        "        if self.complete:\n            return True\n",
        "        if self.complete:\n            return True\n"
        "        self._waiting.append(event)\n",
        _k("interleavings", "machine"),
    ),
    # -- the broker ---------------------------------------------------------------
    Break(
        "the pump does not look again after letting go",
        _BROKER,
        "        while self._inbox:\n            if not",
        "        if self._inbox:\n            if not",
        _k("order", "interleavings"),
    ),
    Break(
        "a barrier does not wait for what is before it",
        _BROKER,
        "            if head.sync and self._in_flight and not head.complete:\n"
        "                return\n",
        "",
        _k("barrier"),
    ),
    Break(
        "a barrier holds nothing back",
        _BROKER,
        "            if head.sync:\n                self._barrier = head\n",
        "",
        _k("barrier"),
    ),
    Break(
        "a barrier is not released when it completes",
        _BROKER,
        "        if self._barrier is delivery:\n            self._barrier = None\n",
        "",
        _k("barrier"),
    ),
    Break(
        "what is held back is not released",
        _BROKER,
        '            self._inbox.append(("send", after))\n        self._release()\n',
        '            self._inbox.append(("send", after))\n',
        _k("barrier"),
    ),
    Break(
        "a chain ends where one of it fails",
        _BROKER,
        "        if delivery.then is not None:\n",
        "        if delivery.then is not None and not delivery.errors:\n",
        _k("chains"),
    ),
    Break(
        "what nobody got is forgotten when it expires",
        _BROKER,
        "                item.delivery.refuse(item.error)\n",
        "                pass\n",
        _k("barrier", "chains", "completion"),
    ),
    Break(
        "an observer that raises ends whoever completes",
        _BROKER,
        "            try:\n                observer(delivery)\n"
        "            except Exception as exc:\n"
        "                # Whoever ended the last ticket (an actor, the watchdog) goes "
        "on.\n"
        '                log.error("observer failed", type=delivery.type, exc_info=exc)'
        "\n",
        "            observer(delivery)\n",
        _k("sending", "completion", "causes"),
    ),
    Break(
        "a full mailbox is a silent drop",
        _BROKER,
        '            delivery.claim(name, How.FULL, "broker", error=error)\n',
        '            delivery.claim(name, How.DONE, "broker")\n',
        _k("lanes"),
    ),
    # -- mailboxes ----------------------------------------------------------------
    Break(
        "a consumer that rests does not look once more",
        _MAILBOX,
        "        if self._waits(normal=normal):\n            self._tell()\n",
        "",
        _k("interleavings", "sending"),
    ),
    Break(
        "the token of the consumer is taken in two steps",
        _MAILBOX,
        "            try:\n                self._resting.pop()\n"
        "            except IndexError:\n"
        "                return  # somebody else was faster\n"
        "            self.on_waiting()\n",
        "            self.on_waiting()\n            self._resting.clear()\n",
        _k("interleavings", "dispatch"),
    ),
    Break(
        "the urgent lane does not overtake",
        _MAILBOX,
        "            if self._urgent:\n"
        "                return Taken(self._urgent.popleft())\n"
        "            if self._own:\n",
        "            if self._urgent and not self._normal:\n"
        "                return Taken(self._urgent.popleft())\n"
        "            if self._own:\n",
        _k("order", "lanes"),
    ),
    Break(
        "a stop cancels nothing",
        _MAILBOX,
        "        if is_stop:\n",
        "        if False:\n",
        _k("lanes"),
    ),
    Break(
        "what is posted while the mailbox closes stays inside",
        _MAILBOX,
        "        return not (self._closed and _remove(queue, entry))\n",
        "        return True\n",
        _k("interleavings", "completion", "pykka"),
    ),
    Break(
        "a mailbox has no bound",
        _MAILBOX,
        ">= self.capacity:\n            return _FULL\n",
        ">= 10**9:\n            return _FULL\n",
        _k("lanes"),
    ),
    # -- turns and actors ---------------------------------------------------------
    Break(
        "a handler that raises completes nothing",
        _TURNS,
        '        actor.finish(delivery, "handler", response, error)\n',
        "        if error is None:\n"
        '            actor.finish(delivery, "handler", response, error)\n',
        _k("completion"),
    ),
    Break(
        "SystemExit ends the thread of a module",
        _TURNS,
        "        except BaseException as exc:  # noqa: BLE001 - attached to the "
        "delivery\n            error = exc\n",
        "        except Exception as exc:\n            error = exc\n",
        _k("completion"),
    ),
    Break(
        "nobody watches handlers",
        _TURNS,
        "        self._watch(activity)\n        return activity\n",
        "        return activity\n",
        _k("watchdog"),
    ),
    Break(
        "nobody watches what a module does about its own work",
        _TURNS,
        '        activity = self._enter("own work", None)\n'
        "        try:\n            own.call()\n"
        "        finally:\n            self._leave(activity)\n",
        "        own.call()\n",
        ("tests/modules/test_lost_runs.py",),
    ),
    Break(
        "a thread that was written off goes on taking",
        _TURNS,
        "            if self._written_off or self.is_over:\n"
        "                return self._over()\n            admits",
        "            admits",
        _k("generations", "machine"),
    ),
    Break(
        "a sender without patience restarts a module",
        _TURNS,
        "        if activity.deadline_at_s < activity.hangs_at_s:\n",
        "        if False:\n",
        _k("generations", "watchdog", "supervisor"),
    ),
    Break(
        "later generations do what was meant for earlier ones",
        _TURNS,
        "            if item.owner is actor:\n",
        "            if True:\n",
        _k("generations"),
    ),
    Break(
        "what was given up can still send",
        _ACTOR,
        "        if self.is_given_up:\n"
        "            return self.context.broker.refuse(message, self.name, "
        "self._too_late())\n",
        "",
        _k("generations"),
    ),
    Break(
        "a generation can be given up twice",
        _ACTOR,
        "        except IndexError:\n            return\n        self._end",
        "        except IndexError:\n            pass\n        self._end",
        _k("generations", "supervisor", "machine"),
    ),
    # -- jobs and loops -----------------------------------------------------------
    Break(
        "the watch over a job ends when its actor hears of it",
        _WORK,
        "            watchdog.unwatch(job)\n"
        "            how = How.DONE if job.error is None",
        "            how = How.DONE if job.error is None",
        _k("jobs"),
    ),
    Break(
        "a job that hangs keeps the lane closed for ever",
        _WORK,
        "        self._owner.post_own(lambda: self._job_hangs(job, error))\n",
        "",
        _k("jobs", "generations"),
    ),
    Break(
        "jobs that were given up are begun after all",
        _WORKER,
        "            if self.given_up:\n",
        "            if False:\n",
        _k("loops", "generations", "jobs"),
    ),
    Break(
        "a loop ends twice",
        _LOOP,
        "        late = not self._claim()\n",
        "        self._claim()\n        late = False\n",
        _k("interleavings", "loops", "generations"),
    ),
    Break(
        "a loop that was given up beats on",
        _LOOP,
        "        if self._is_given_up:\n",
        "        if False:\n",
        ("tests/modules/test_lost_runs.py",),
    ),
    # -- the supervisor -----------------------------------------------------------
    Break(
        "what a given-up generation owes stays open",
        _SUPERVISOR,
        '        seat.claim_dead(actor.dissolve(), f"{seat.name} was given up: '
        '{error.text}")\n',
        "        actor.dissolve()\n",
        _k("generations", "supervisor"),
    ),
    Break(
        "a module may fail as often as it likes",
        _SUPERVISOR,
        "        if len(deaths) > policy.intensity:\n",
        "        if False:\n",
        _k("supervisor"),
    ),
    Break(
        "a module that was given up leaves its routes behind",
        _SUPERVISOR,
        "        self._context.broker.remove(seat.name, text)\n        seat.close(text)"
        "\n",
        "        seat.close(text)\n",
        _k("supervisor"),
    ),
    Break(
        "a module that was given up for good keeps its queue",
        _SUPERVISOR,
        "        self._context.broker.remove(seat.name, text)\n        seat.close(text)"
        "\n",
        "        self._context.broker.remove(seat.name, text)\n",
        _k("supervisor"),
    ),
    Break(
        "a constructor that comes back late takes the seat",
        _SUPERVISOR,
        "is_late = actor.generation != seat.generation or self._stopping",
        "is_late = self._stopping",
        _k("supervisor", "interleavings"),
    ),
    Break(
        "modules are restarted while HAL stops",
        _SUPERVISOR,
        "        self._stopping = True\n",
        "        self._stopping = False\n",
        _k("supervisor", "lifecycle"),
    ),
    Break(
        "a successor answers before it is configured",
        _SUPERVISOR,
        "        actor.is_admitting = False\n        actor.take_seat()\n",
        "        actor.is_admitting = True\n        actor.take_seat()\n",
        _k("supervisor", "device_restarts"),
    ),
    Break(
        "a run keeps its devices after its conductor died",
        _SUPERVISOR,
        '        self._end_leases(actor, f"{seat.name} was given up: {error.text}")\n',
        "",
        ("tests/modules/test_lost_runs.py", *_k("supervisor")),
    ),
    Break(
        "a device is opened while a thread is still inside its driver",
        _DEVICE,
        "        if held_by:\n            raise",
        "        if False:\n            raise",
        _k("device_restarts"),
    ),
    Break(
        "a device that does not answer is tried once",
        _DEVICE,
        "        self._try_again(self._retry_s)\n",
        "",
        _k("device_restarts"),
    ),
    # -- threads ------------------------------------------------------------------
    Break(
        "a thread of the pool that hangs is not replaced",
        _DISPATCH,
        "            self._alive -= 1\n        self._add()\n",
        "            self._alive -= 1\n",
        _k("dispatch", "generations"),
    ),
    Break(
        "a pool that is held up does not grow",
        _DISPATCH,
        "            if may_grow:\n                self._add()\n",
        "",
        _k("dispatch"),
    ),
)
