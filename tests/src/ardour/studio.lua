-- What the tests have Ardour do. The caller appends one call: compose, record,
-- cycle or bounce, with a table that says everything.

io.stdout:setvbuf("no")

local function engine(speed)
  AudioEngine:set_backend("None (Dummy)", "", ""):set_driver(speed or "Normal Speed")
end

local function wait(what, done)
  for _ = 1, 2400 do
    if done() then return end
    ARDOUR.LuaAPI.usleep(25000)
  end
  error("Ardour never got there: " .. what)
end

local function track(session, name)
  local midi = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
  local made = session:new_midi_track(midi, midi, true, ARDOUR.PluginInfo(), nil, nil, 1, name,
    ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, false)
  for it in made:iter() do return it end
end

-- The plugin on the source's track, and its parameters by name: how Ardour numbers
-- them for setting, and among the controls alone for automation.
local function plugin(session)
  local source = session:route_by_name("SRC")
  local processor = source:nth_plugin(0)
  assert(not processor:isnil(), "the plugin is gone")
  local inside, names, control = processor:to_insert():plugin(0), {}, 0
  for port = 0, inside:parameter_count() - 1 do
    if inside:parameter_is_control(port) then
      if inside:parameter_is_input(port) then
        names[inside:parameter_label(port)] = { port = port, control = control }
      end
      control = control + 1
    end
  end
  return processor, names
end

local function set(session, parameters)
  local processor, names = plugin(session)
  for name, value in pairs(parameters or {}) do
    assert(names[name], "there is no parameter " .. name)
    assert(ARDOUR.LuaAPI.set_processor_param(processor, names[name].port, value), name)
  end
end

local function lane_state(session, state)
  local processor, names = plugin(session)
  local button = Evoral.Parameter(ARDOUR.AutomationType.PluginAutomation, 0, names.Answer.port)
  processor:to_automatable():automation_control(button, true):set_automation_state(state)
end

-- Presses the button `Answer` at a beat, in the automation lane.
local function automate(session, beat)
  local processor, names = plugin(session)
  local list, lane = ARDOUR.LuaAPI.plugin_automation(processor, names.Answer.control)
  assert(not list:isnil(), "there is no lane for the button")
  local function at(place, value)
    local ticks = math.floor(place * Temporal.ticks_per_beat + 0.5)
    lane:add(Temporal.timepos_t.from_ticks(ticks), value, false, true)
  end
  at(0, 0) at(beat, 1) at(beat + 0.25, 0)
  lane_state(session, ARDOUR.AutoState.Play)
end

-- Sets the plugin's parameters and automation, and keeps the session.
local function keep(session, it)
  set(session, it.parameters)
  if it.press then automate(session, it.press) end
  -- The plugin's parameters arrive with a block.
  ARDOUR.LuaAPI.usleep(300000)
  assert(session:save_state("", false, false, false, false, false) == 0)
  close_session()
  print("done")
  quit()
end

-- A session with one track and the plugin on it. Nothing plays its notes but the plugin's
-- own sound: what Ardour's instrument plays is not the same in each export, also without
-- the plugin.
function play(it)
  engine()
  local session = create_session(it.folder, "session", 48000)
  assert(session, "no session")
  local midi = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
  local stereo = ARDOUR.ChanCount(ARDOUR.DataType("audio"), 2)
  local made = session:new_midi_track(midi, stereo, false, ARDOUR.PluginInfo(), nil, nil, 1, "SRC",
    ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
  local source
  for one in made:iter() do source = one end
  local processor = ARDOUR.LuaAPI.new_plugin(session, it.plugin, ARDOUR.PluginType.VST3, "")
  assert(not processor:isnil(), "Ardour does not know the plugin " .. it.plugin)
  assert(source:add_processor_by_index(processor, 0, nil, true) == 0)
  keep(session, it)
end

-- A session with a track SRC that the plugin is on, and a track DST that hears it.
function compose(it)
  engine()
  local session = create_session(it.folder, "session", 48000)
  assert(session, "no session")
  local source, target = track(session, "SRC"), track(session, "DST")
  local processor = ARDOUR.LuaAPI.new_plugin(session, it.plugin, ARDOUR.PluginType.VST3, "")
  assert(not processor:isnil(), "Ardour does not know the plugin " .. it.plugin)
  assert(source:add_processor_by_index(processor, 0, nil, true) == 0)
  source:output():disconnect_all(nil)
  target:input():disconnect_all(nil)
  assert(source:output():midi(0):connect(target:input():midi(0):name()) == 0)
  keep(session, it)
end

local function open(it)
  engine(it.speed)
  local session = load_session(it.folder, "session")
  assert(session, "no session")
  set(session, it.parameters)
  if it.manual then lane_state(session, ARDOUR.AutoState.Off) end
  return session
end

local function arm(session)
  local target = session:route_by_name("DST"):to_track()
  target:rec_enable_control():set_value(1, PBD.GroupControlDisposition.NoGroup)
  session:goto_start(true)
  session:maybe_enable_record(true)
  wait("record", function() return session:transport_sample() == 0 and session:transport_stopped() end)
  ARDOUR.LuaAPI.usleep(200000)
end

local function takes(session)
  return session:route_by_name("DST"):to_track():playlist():region_list()
end

local function halt(session, before)
  print("stopped at", session:transport_sample())
  session:request_stop(false, false, ARDOUR.TransportRequestSource.TRS_UI)
  wait("stop", function() return session:transport_stopped() end)
  -- What was captured is written when the transport has come to rest.
  wait("capture", function() return takes(session):size() > before end)
end

local function finish(session)
  assert(session:save_state("", false, false, false, false, false) == 0)
  close_session()
  print("done")
  quit()
end

-- Tells a region's notes.
local function tell(region)
  for note in ARDOUR.LuaAPI.note_list(region:to_midiregion():model()):iter() do
    print("note", note:time(), note:length(), note:channel(), note:note(), note:velocity())
  end
end

-- Rolls from the beginning for so many samples; DST records.
function record(it)
  local session = open(it)
  local before = takes(session):size()
  arm(session)
  session:request_roll(ARDOUR.TransportRequestSource.TRS_UI)
  wait("end", function() return session:transport_sample() >= it.samples end)
  halt(session, before)
  finish(session)
end

-- Loops what the session's file says; DST records until it has come round so often.
-- The notes are told here: Ardour writes a loop's recording with wrong times.
function cycle(it)
  local session = open(it)
  local before = takes(session):size()
  -- Ardour does not begin to loop while it records, but records while it loops.
  session:request_play_loop(true, false)
  arm(session)
  session:request_play_loop(true, true)
  local last, rounds = 0, 0
  wait("loop", function()
    local now = session:transport_sample()
    if now < last then rounds = rounds + 1 end
    last = now
    return rounds >= it.rounds
  end)
  halt(session, before)
  -- All rounds are regions of one recording.
  local recording
  for region in takes(session):iter() do recording = region end
  tell(recording)
  finish(session)
end

-- Bounces the source's track with what its plugin makes of it, as fast as it goes.
function bounce(it)
  local session = open(it)
  local source = session:route_by_name("SRC"):to_track()
  local processor = plugin(session)
  local region = source:bounce_range(0, math.floor(it.samples), ARDOUR.InterThreadInfo(), processor, true,
    "bounced")
  assert(not region:isnil(), "the bounce failed")
  tell(region)
  finish(session)
end
