"""How long a run waits for others, in seconds; handed in with its budget, so that tests need not wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """The waits of a run."""

    first_wait_seconds: float = 0.5
    """At most, before a request that failed is tried again; twice as long after each further failure."""
    most_wait_seconds: float = 5.0
    last_try_seconds: float = 1.0
    """What every try has left of the budget; a tenth of it if the budget is short."""
    version_seconds: float = 2.0
    """How long a server may take to say its version, which is only for the report."""
    embed_seconds: float = 10.0
    """How long an embedding model may take for a vector that only explains a failure."""
    publish_seconds: float = 60.0
    """How long publishing may take: the collections are registered by then."""
    beat_seconds: float = 10.0
    """Between two events that say what a run is doing."""
    line_seconds: float = 1.0
    """The same between two texts of the line on a terminal."""
    apart_seconds: float = 0.01
    """How long after one connection the next is opened."""
    shift_seconds: float = 0.03
    """Before a create that another worker shall take."""
    flooded_pause_seconds: float = 0.1
    """After each proof where the server is flooded easily: it writes a few hundred events of its telemetry a second."""
    lost_seconds: float = 4.0
    """How long what seems lost is proven on as many connections as what works, though each answer is an error: one
    worker that knows it is enough. The rich log of 0.7.3 and newer takes seconds for an error."""
    lag_seconds: float = 30.0
    """How far a list may be behind, as one that is read from a replica of the server's database."""
    lag_pause_seconds: float = 0.5
    late_seconds: float = 15.0
    """How long a create may still take place whose connection broke: a gateway gives it up while its server goes on."""
    late_pause_seconds: float = 1.0
    """Between two observations of such a create. Other runs see a duplicate for at most this long."""
    race_seconds: float = 30.0
    """How long a run that keeps what it made waits while the others of this instant change nothing."""
    bystander_seconds: float = 10.0
    """The same of a run that has made nothing, or has withdrawn it."""
    race_pause_seconds: tuple[float, float] = (0.1, 0.6)
    recent_seconds: float = 60.0
    """How lately another run must have made a vector store to be still about to withdraw it."""
    trial_least_seconds: float = 10.0
    """What the budget must have left for a trial, so that what it makes can be deleted."""
    trial_listed_seconds: float = 8.0
    """How long the list may take to show a trial's vector store; a pod that is told to end has 30 s for all of that."""
    trial_found_seconds: float = 10.0
    """How long a query may take to find what was inserted: a Milvus server reads what is some seconds old."""
    trial_pause_seconds: float = 0.5


DEFAULT_TIMINGS = Timings()
