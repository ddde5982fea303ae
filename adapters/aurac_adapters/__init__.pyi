"""The public names for type checkers, which cannot see what `__init__.py` imports on first use."""

from aurac_adapters.export.budget_slices import export_budget as export_budget
from aurac_adapters.export.convert import convert_checkpoint as convert_checkpoint
from aurac_adapters.export.merged import export_merged as export_merged
from aurac_adapters.export.peft_methods import convert_method as convert_method
from aurac_adapters.export.rotation import svd_rotate as svd_rotate
from aurac_adapters.export.slices import export_slice as export_slice
from aurac_adapters.folder.facts import AdapterFacts as AdapterFacts
from aurac_adapters.folder.facts import read_facts as read_facts
from aurac_adapters.folder.folder import AdapterFolder as AdapterFolder
from aurac_adapters.folder.folder import read_adapter as read_adapter
from aurac_adapters.folder.folder import save_adapter as save_adapter
from aurac_adapters.folder.loading import load_adapter as load_adapter
from aurac_adapters.folder.retrained import RetrainedAdapter as RetrainedAdapter
from aurac_adapters.folder.retrained import load_ranked as load_ranked
from aurac_adapters.folder.retrained import read_ranked as read_ranked
from aurac_adapters.layer.nested import NestedAdapter as NestedAdapter
from aurac_adapters.layer.nested import at_rank as at_rank
from aurac_adapters.layer.nested import attach as attach
from aurac_adapters.methods import METHODS as METHODS
from aurac_adapters.methods.dylora import DyLora as DyLora
from aurac_adapters.methods.learned import LearnedMatryoshka as LearnedMatryoshka
from aurac_adapters.methods.lora import Lora as Lora
from aurac_adapters.methods.matryoshka import MatryoshkaLora as MatryoshkaLora
from aurac_adapters.methods.method import NestedMethod as NestedMethod
from aurac_adapters.methods.svd_lora import SvdLora as SvdLora
